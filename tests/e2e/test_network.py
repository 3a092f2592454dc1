"""The network goes away in the middle of a call and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.caller_voice import CallerVoice
from tests.e2e.browser import open_tab, write_microphone
from tests.e2e.server import Server
from tests.e2e.test_spoken_call import start_call
from tests.e2e.wire import Wire

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


async def test_after_a_blip_the_same_session_goes_on_without_a_second_greeting(
    server: Server, say: CallerVoice, wire: Wire, tmp_path: Path
):
    question = await say("what are your opening hours")
    # The network is back some 17 s after the microphone opened; a busy machine takes longer.
    microphone = write_microphone(
        tmp_path / "mic.wav", [(at_s, question) for at_s in (22.0, 31.0, 40.0)], 60.0
    )
    async with open_tab(server.url, microphone) as tab:
        await wire.join(tab.page)
        await start_call(tab)
        await tab.wait_for_event("turn_ended")
        session = await tab.page.evaluate("parley.sessionId")
        await tab.page.evaluate(
            "() => { window.states = []; parley.client.on('state', s => states.push(s)) }"
        )

        wire.cut()
        async with asyncio.timeout(30):
            await server.logged("caller_lost")
        wire.mend()
        async with asyncio.timeout(30):
            await server.logged("caller_back")
        await tab.page.wait_for_function("() => parley.state === 'live'")
        back_s = await tab.seconds_since_microphone()
        await tab.wait_for_reply("nine to five")

        states = await tab.page.evaluate("states")
        again = await tab.page.evaluate("parley.sessionId")
        calls = {event["call_id"] for event in await tab.events()}
        greetings = [event for event in await tab.events("agent_text") if "Linden" in event["text"]]
        sounds = await tab.sounds()

    assert states == ["reconnecting", "live"]
    assert session and again == session
    assert len(calls) == len(greetings) == 1
    assert any(sound.start_s > back_s for sound in sounds), "the answer was not heard"
    assert sum("call_started" in line for line in server.log) == 1
