"""What a session uses of its key's minute, and what its client is told of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from parley.access.caller import Caller
from parley.access.rates import Standing
from parley.transports.realtime.response import Send
from parley.transports.realtime.wire import ServerEvent, server_event


class Budget(Protocol):
    """Counts minutes: ``access.rates.Rates`` is one. It never raises and never takes long."""

    async def spend(self, caller: Caller, *, audio_s: float = 0, tokens: int = 0) -> None: ...

    async def standings(self, caller: Caller) -> Sequence[Standing]: ...


@dataclass(frozen=True, slots=True)
class _Used:
    audio_s: float = 0.0
    tokens: int = 0
    tells: bool = False


OpenAccount = Callable[[Send], "Account"]
"""Opens the account of whoever has come in; it is told where events are sent."""


class Account:
    """Counts beside the conversation, in order: Redis may be what counts."""

    def __init__(self, caller: Caller, budget: Budget | None, send: Send) -> None:
        self._caller = caller
        self._budget = budget
        self._send = send
        self._due: asyncio.Queue[_Used | None] = asyncio.Queue()
        self._working: asyncio.Task[None] | None = None

    def heard(self, length_ms: float) -> None:
        """The user has said something that long."""
        self._note(_Used(audio_s=length_ms / 1000))

    def answered(self, done: ServerEvent) -> None:
        """That is a ``response.done``; behind it ``rate_limits.updated`` is sent."""
        self._note(_Used(tokens=done["response"]["usage"]["total_tokens"], tells=True))

    async def close(self) -> None:
        """Return when everything is counted."""
        if self._working is not None:
            self._due.put_nowait(None)
            await self._working

    def _note(self, used: _Used) -> None:
        limits = self._caller.limits
        if self._budget is None or not (limits.requests or limits.audio_s or limits.tokens):
            return
        self._due.put_nowait(used)
        if self._working is None:
            self._working = asyncio.create_task(self._work(self._budget), name="realtime:account")

    async def _work(self, budget: Budget) -> None:
        while (used := await self._due.get()) is not None:
            await budget.spend(self._caller, audio_s=used.audio_s, tokens=used.tokens)
            if used.tells and (standings := await budget.standings(self._caller)):
                told = [_shown(each) for each in standings]
                self._send(server_event("rate_limits.updated", rate_limits=told))


def _shown(standing: Standing) -> dict[str, str | int | float]:
    return {
        "name": standing.counted,
        "limit": standing.limit,
        "remaining": standing.remaining,
        "reset_seconds": round(standing.reset_s, 3),
    }
