"""A call in which nobody says anything ends; one in which somebody speaks does not."""

import asyncio

import pytest

from parley.core.events import (
    AgentSpeechStarted,
    AgentSpeechStopped,
    CallHeld,
    CallResumed,
    UserTranscript,
)
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


@pytest.mark.parametrize("by", ["caller", "agent"])
async def test_silence_on_hold_means_nothing(by: str):
    watch = IdleWatch(0.02)
    watch.note(CallHeld(call_id="c", by=by))
    waiting = asyncio.create_task(watch.too_long())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.1)
    watch.note(CallResumed(call_id="c", by=by))

    assert await waiting == "idle"


async def test_who_resumes_takes_back_only_their_own_hold():
    watch = IdleWatch(0.02)
    watch.note(CallHeld(call_id="c", by="caller"))
    watch.note(CallHeld(call_id="c", by="agent"))
    watch.note(CallResumed(call_id="c", by="agent"))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.too_long(), 0.1)


async def test_a_hold_has_a_limit_of_its_own_even_in_mid_sentence():
    watch = IdleWatch(0, hold_s=0.02)
    watch.note(AgentSpeechStarted(call_id="c"))
    watch.note(CallHeld(call_id="c"))

    assert await watch.too_long() == "idle"
