"""Waits for an engine's results, each within its time, and for no longer than the ear can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar, cast

from parley.core.errors import EngineTimeout
from parley.engines.patience import patience

ResultT = TypeVar("ResultT")


async def within(limit_s: float, results: AsyncIterator[ResultT], name: str) -> ResultT | None:
    """The next result, or None at the end. Raises ``EngineTimeout`` when it takes longer."""
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            with patience(limit):
                return await anext(results, None)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise silent_for(limit_s, name) from error


def silent_for(limit_s: float, name: str) -> EngineTimeout:
    return EngineTimeout(f"{name} gave nothing for {limit_s:.2g} s.")


@asynccontextmanager
async def closing(results: AsyncIterator[ResultT]) -> AsyncGenerator[AsyncIterator[ResultT]]:
    """Closes the iterator at the end, however that comes about: that stops the engine."""
    try:
        yield results
    finally:
        close = getattr(results, "aclose", None)
        if close is not None:
            await cast("AsyncGenerator[ResultT]", results).aclose()


class Drip:
    """Whether results come fast enough to be heard without holes.

    What was given is worth so many seconds of speech; waiting for more may use them up and
    ``gap_s`` besides. One pause may last ``gap_s`` as well, however much was given before.
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._given_s = 0.0
        self._waited_s = 0.0
        self._since_s: float | None = None

    def wait_begins(self, now_s: float) -> float:
        """How long the next result may take, in seconds."""
        self._since_s = now_s
        return max(min(self._gap_s, self._given_s + self._gap_s - self._waited_s), 0.0)

    def came(self, now_s: float, speech_s: float) -> None:
        """A result came that takes ``speech_s`` to be heard."""
        if self._since_s is not None:
            self._waited_s += now_s - self._since_s
        self._given_s += speech_s

    def lives(self) -> None:
        """A sign of life: what it is working on can't be given in pieces."""
        self._waited_s = min(self._waited_s, self._given_s)
