"""A call in which nobody says anything ends; one in which somebody speaks does not."""

import asyncio

import pytest

from parley.core.events import AgentSpeechStarted, AgentSpeechStopped, UserTranscript
from parley.session.idle import IdleWatch


async def test_silence_on_both_sides_is_idle():
    watch = IdleWatch(0.02)

    assert await watch.too_long() == "idle"


async def test_an_agent_in_mid_speech_is_not_idle():
    watch = IdleWatch(0.02)
    watch.note(AgentSpeechStarted(call_id="c"))
    waiting = asyncio.create_task(watch.too_long())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.1)
    watch.note(AgentSpeechStopped(call_id="c", played_ms=100))

    assert await waiting == "idle"


async def test_zero_means_never():
    watch = IdleWatch(0)
    watch.note(UserTranscript(call_id="c", text="", final=True))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.too_long(), 0.05)
