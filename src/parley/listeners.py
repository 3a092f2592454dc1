"""The ports that people reach the house by: bound early, served by uvicorn once it is open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from fastapi import FastAPI

from parley.api.prompt_http import PromptHttp
from parley.core.tasks import begin, end

# What HTTP requests may still take once the last call is over.
CLOSING_S = 5
# Clients keep connections for a minute or so; shorter, and their next request meets a closed one.
KEEP_ALIVE_S = 75
# A Realtime client may append 15 MiB of sound at once: 20 MiB in base64, and its frame.
LARGEST_MESSAGE_BYTES = 24 * 1024 * 1024


class Listener:
    """One application on one port. ``end`` it."""

    def __init__(self, web: FastAPI, place: socket.socket, name: str) -> None:
        self._server = _Server(_config(web))
        self._place = place
        self._name = name
        self._serving: asyncio.Task[None] | None = None

    @property
    def serving(self) -> asyncio.Task[None]:
        """Over when nobody can come in any more."""
        assert self._serving is not None, "nobody has opened this listener"
        return self._serving

    @property
    def port(self) -> int:
        port: int = self._place.getsockname()[1]
        return port

    async def open(self) -> None:
        """Return when it takes connections, or can't; then ``serving`` says why."""
        self._serving = begin(self._server.serve(sockets=[self._place]), self._name)
        await until(self._server.is_up, self._serving)

    async def close(self) -> None:
        """Let what is under way finish. Raises what broke it."""
        self._server.should_exit = True
        await self.serving

    async def end(self) -> None:
        if self._serving is not None:
            await end(self._serving)


async def until(event: asyncio.Event, *tasks: asyncio.Task[None]) -> None:
    """Return when the event has come or one of the tasks is over."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(waiting)


def _config(web: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        web,
        http=PromptHttp,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=CLOSING_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        ws_max_size=LARGEST_MESSAGE_BYTES,
        # Sound hardly shrinks, and a client that unpacks can be sent bombs.
        ws_per_message_deflate=False,
        server_header=False,
    )


class _Server(uvicorn.Server):
    """uvicorn, but for the signals: ours drain the calls first. ``is_up`` once it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
