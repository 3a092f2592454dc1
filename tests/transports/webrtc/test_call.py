"""A whole call over real WebRTC, between the router and an aiortc caller."""

from __future__ import annotations

import asyncio

from tests.transports.webrtc.callers import (
    bare_session,
    loudest_part,
    pipeline_session,
    say,
    share_at,
    tone,
)


async def test_sound_goes_both_ways_as_it_was(town):
    here = town(pipeline_session)
    caller = here.caller(says=tone(440, 3000, 48_000))
    await caller.call()
    call = await here.one_call()
    await call.connected.wait()
    await say(call, tone(880, 1000, 24_000))

    await call.until(lambda: len(call.heard) >= 2 * 16_000 * 2)
    await caller.until(lambda: len(loudest_part(bytes(caller.heard), 48_000)) >= 1.0 * 48_000 * 2)

    said = loudest_part(bytes(call.heard), 16_000)
    assert share_at(said, 440, 16_000) > 0.99
    spoken = loudest_part(bytes(caller.heard), 48_000)
    assert share_at(spoken, 880, 48_000) > 0.98
    assert call.media.played_ms == 1000
