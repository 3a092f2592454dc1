"""Ends a reply at a stop sequence, for engines that don't know any."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from parley.engines.spec import Delta


async def stopped_at(deltas: AsyncGenerator[Delta], stops: Sequence[str]) -> AsyncGenerator[Delta]:
    """The reply up to the first of ``stops``, without it. Closing this closes ``deltas``.

    What may be the beginning of one is held back until it is clear that it isn't.
    """
    held = ""
    async with aclosing(deltas):
        async for delta in deltas:
            text = held + delta.text
            at = min((at for stop in stops if (at := text.find(stop)) >= 0), default=-1)
            if at >= 0:
                yield Delta(text=text[:at], finish="stop")
                return
            # Tools and the end come after the words that were said before them.
            is_last = bool(delta.tools or delta.finish)
            keep = 0 if is_last else max(_beginning(text, stop) for stop in stops)
            held = text[len(text) - keep :]
            yield replace(delta, text=text[: len(text) - keep])
        if held:
            yield Delta(text=held)


def _beginning(text: str, stop: str) -> int:
    """How many of the last letters of ``text`` may be the beginning of ``stop``."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
