"""Looks names up, so that one whose servers don't answer keeps no other from being found."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

THREADS = 16

SystemsOwn = Callable[[str, int], Sequence[Any]]


def _addresses(host: str, port: int) -> Sequence[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Lookups:
    """On threads of their own: a name server that doesn't answer holds one for many seconds,
    however short a time is waited for it, and the usual ones are needed by live calls. Whoever
    asks for a name that is being looked up already waits for that."""

    def __init__(self, ask: SystemsOwn = _addresses, threads: int = THREADS) -> None:
        self._ask = ask
        self._most_threads = threads
        self._threads: ThreadPoolExecutor | None = None
        self._under_way: dict[tuple[str, int], asyncio.Future[Sequence[Any]]] = {}

    async def look_up(self, host: str, port: int) -> list[str]:
        """Raises ``OSError`` for a name that nobody knows."""
        key = host, port
        asking = self._under_way.get(key)
        if asking is None:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._most_threads, "lookups")
            loop = asyncio.get_running_loop()
            asking = loop.run_in_executor(self._threads, self._ask, host, port)
            self._under_way[key] = asking
            asking.add_done_callback(partial(self._done, key))
        found = await asyncio.shield(asking)
        return [str(address[0]) for *_, address in found]

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _done(self, key: tuple[str, int], asking: asyncio.Future[Sequence[Any]]) -> None:
        del self._under_way[key]
        if not asking.cancelled():
            # Perhaps nobody waits for it any more.
            asking.exception()
