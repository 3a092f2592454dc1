"""The end of a call: its last words are spoken, to a caller who is still there to hear them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from parley.core.call import EndReason
from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.session.control import CallControl
from parley.session.media import CallMedia

log = get_logger(__name__)

GOODBYE_LIMIT_S = 12.0
SILENCE_LIMIT_S = 2.0
# Who is gone hears no goodbye.
SPOKEN_ENDS: frozenset[EndReason] = frozenset(
    {"agent", "machine", "drain", "limit", "quota", "idle"}
)
# What was said when the agent chose to end the call is its goodbye.
LAST_WORDS_SAID: frozenset[EndReason] = frozenset({"agent", "machine"})
# The transport ends the call, and the caller is still there.
_STILL_THERE: frozenset[EndReason] = frozenset({"limit"})


async def speak_last_words(
    control: CallControl,
    media: CallMedia,
    running: asyncio.Task[None],
    reason: EndReason,
    goodbye: str,
) -> None:
    """Let what is being said be heard, or the goodbye, and have the pipeline end behind it. A
    caller who leaves meanwhile ends it at once."""
    left = begin(_left(media), "caller-left")
    try:
        if reason not in LAST_WORDS_SAID:
            # Whatever is being thought or said may take long, or for ever.
            await within(SILENCE_LIMIT_S, control.fall_silent())
            if goodbye:
                await control.say(goodbye)
        await control.finish_speaking()
        await asyncio.wait(
            [running, left], timeout=GOODBYE_LIMIT_S, return_when=asyncio.FIRST_COMPLETED
        )
        if not running.done():
            # Pipecat hears of no other end while one is on its way: it has to get through.
            await control.interrupt()
            await asyncio.wait([running], timeout=SILENCE_LIMIT_S)
    finally:
        await end(left)


async def _left(media: CallMedia) -> None:
    if await media.gone() in _STILL_THERE:
        await asyncio.Event().wait()


async def within(limit_s: float, what: Awaitable[Any]) -> None:
    """Await something that must not hold up the end of a call."""
    try:
        async with asyncio.timeout(limit_s):
            await what
    except Exception as error:
        # What comes after it in the teardown must be closed all the same.
        log.error("teardown_failed", error=f"{type(error).__name__}: {error}")
