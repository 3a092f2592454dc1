"""The network goes away in the middle of a call and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.caller_voice import CallerVoice
from tests.e2e.browser import open_tab
from tests.e2e.server import Server
from tests.e2e.test_spoken_call import WAS_TOLD, be_greeted
from tests.e2e.wire import Wire

pytestmark = [pytest.mark.e2e, pytest.mark.spoken_in_a_browser, pytest.mark.timeout(180)]


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


async def test_after_a_blip_the_same_session_goes_on_without_a_second_greeting(
    server: Server, say: CallerVoice, wire: Wire
):
    question = await say("what are your opening hours")
    async with open_tab(server.url) as tab:
        await wire.join(tab.page)
        await be_greeted(tab)
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
        heard_before = await tab.sounds()
        await tab.say_until(question, WAS_TOLD, "nine to five")

        states = await tab.page.evaluate("states")
        again = await tab.page.evaluate("parley.sessionId")
        calls = {event["call_id"] for event in await tab.events()}
        greetings = [event for event in await tab.events("agent_text") if "Linden" in event["text"]]
        sounds = await tab.sounds()

    assert states == ["reconnecting", "live"]
    assert session and again == session
    assert len(calls) == len(greetings) == 1
    assert len(sounds) > len(heard_before), "the answer was not heard"
    assert sum("call_started" in line for line in server.log) == 1
