"""Pipecat's own browser client calls Parley as it stands."""

from __future__ import annotations

import pytest

from tests.caller_voice import CallerVoice
from tests.e2e.browser import open_tab
from tests.e2e.official_client import WAS_TOLD, built_client, foreign_requests, open_client
from tests.e2e.server import Server

# Fetching and building the client belongs to it.
pytestmark = [pytest.mark.e2e, pytest.mark.spoken_in_a_browser, pytest.mark.timeout(400)]


async def test_pipecats_own_client_is_greeted_understood_and_answered(
    server: Server, say: CallerVoice
):
    built = built_client()
    question = await say("what are your opening hours")
    async with open_tab(server.url) as tab:
        asked: list[str] = []
        tab.page.on("request", lambda request: asked.append(request.url))
        client = await open_client(tab.page, server.url, built)

        await client.connect("receptionist")
        await client.wait_for("botStoppedSpeaking")
        greeting = await tab.sounds()
        await tab.say_until(question, WAS_TOLD, ["botTranscript", "nine to five", 1])
        await client.wait_for("botStoppedSpeaking", count=2)
        sounds = await tab.sounds()
        said = [part["text"] for part in await client.told("userTranscript") if part["final"]]
        ready = await client.told("botReady")
        await tab.page.evaluate("disconnect()")
        await server.logged("call_ended", "reason=caller")

    assert len(ready) == 1
    assert greeting, "the greeting was not heard"
    assert any("opening hours" in text for text in said)
    assert sounds[-1].end_s > greeting[-1].end_s + 1.0, "the answer was not heard"
    assert foreign_requests(asked, server.url) == []
