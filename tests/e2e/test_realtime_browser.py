"""A page that was written for OpenAI's Realtime API over WebRTC talks with Parley instead."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from parley.access.caller import OPEN_SCOPES
from parley.access.keys import KeyDesk
from parley.settings import Settings
from parley.store.opening import open_store
from tests.api.openai.written_house import served
from tests.caller_voice import CallerVoice
from tests.e2e.browser import BrowserTab, open_tab
from tests.e2e.official_openai import FOLDER, fetched_client
from tests.e2e.server import Server, running_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SDK_BUNDLE = FOLDER / "node_modules/@openai/agents-realtime/dist/bundle"
SDK_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
SESSION: Any = {
    "type": "realtime",
    "model": "agent:receptionist",
    "audio": {"input": {"transcription": {"model": "whisper-1"}}},
}

Event = dict[str, Any]

# A question that is answered, and the same again over the answer.
INTERRUPTED_AND_ANSWERED = """() => {
    const replies = realtime.events.filter(({type}) => type === "response.done");
    const cut = replies.findIndex(
        ({response}) => response.status_details?.reason === "turn_detected");
    return cut >= 0 && replies.slice(cut).some(({response}) => response.status === "completed"
        && response.output[0]?.content[0]?.transcript.includes("nine to five"));
}"""
NOTHING_IS_PLAYED = """() => {
    const count = (what) => realtime.events.filter(
        ({type}) => type === "output_audio_buffer." + what).length;
    return count("started") === count("stopped") + count("cleared");
}"""


@asynccontextmanager
async def two_sites(folder: Path) -> AsyncIterator[tuple[Server, str, openai.AsyncOpenAI]]:
    """Parley, which wants a key; a page of another site; that site's own server, which has it."""
    async with open_store(Settings(data_dir=folder)) as store:
        key = (await KeyDesk(store.keys).create("shop", scopes=OPEN_SCOPES)).token
    site = FastAPI()
    # Where the SDK hasn't been fetched, nobody asks for it.
    site.mount("/sdk", StaticFiles(directory=SDK_BUNDLE, check_dir=False))
    site.mount("/", StaticFiles(directory=Path(__file__).parent))
    async with (
        served(site) as address,
        running_server(folder, {"PARLEY_CORS_ORIGINS": address}) as server,
        openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key) as sdk,
    ):
        yield server, address, sdk


async def begin(tab: BrowserTab, server: Server, sdk: openai.AsyncOpenAI) -> str:
    """Have the page call; the call's name."""
    secret = await sdk.realtime.client_secrets.create(session=SESSION)
    await tab.page.evaluate("([url, secret]) => call(url, secret)", [server.url, secret.value])
    location: str = await tab.page.evaluate("realtime.location")
    return location.removeprefix("/v1/realtime/calls/")


async def told(tab: BrowserTab, kind: str = "") -> list[Event]:
    events: list[Event] = await tab.page.evaluate("realtime.events")
    return [event for event in events if kind in ("", event["type"])]


async def wait_for(tab: BrowserTab, kind: str, *, count: int = 1, timeout_s: float = 30) -> None:
    await tab.page.wait_for_function(
        "([kind, count]) => realtime.events.filter(({type}) => type === kind).length >= count",
        arg=[kind, count],
        timeout=timeout_s * 1000,
    )


async def wait_for_one_more(tab: BrowserTab, kind: str, before: Counter[str]) -> None:
    await wait_for(tab, kind, count=before[kind] + 1)


async def be_greeted(tab: BrowserTab, server: Server, sdk: openai.AsyncOpenAI) -> str:
    """Have the page call, and hear the greeting out; the call's name."""
    call_id = await begin(tab, server, sdk)
    await wait_for(tab, "output_audio_buffer.stopped")
    return call_id


@pytest.mark.spoken_in_a_browser
async def test_a_page_talks_is_answered_and_interrupts(say: CallerVoice, tmp_path: Path):
    question = await say("what are your opening hours")
    async with (
        two_sites(tmp_path) as (server, address, sdk),
        open_tab(f"{address}/realtime_page.html") as tab,
    ):
        call_id = await be_greeted(tab, server, sdk)
        over_s = await tab.interrupt_until(question, INTERRUPTED_AND_ANSWERED)
        await tab.page.wait_for_function(NOTHING_IS_PLAYED)

        events, sounds = await told(tab), await tab.sounds(gap_s=0.25)
        await sdk.realtime.calls.hangup(call_id)
        await tab.page.wait_for_function("realtime.channel.readyState === 'closed'")

    for event in events:
        SDK_EVENTS.validate_python(event)
    types = [event["type"] for event in events]
    done = [event["response"] for event in events if event["type"] == "response.done"]
    spoken = [response["output"][0]["content"][0]["transcript"] for response in done]
    heard = [
        event["transcript"]
        for event in events
        if event["type"] == "conversation.item.input_audio_transcription.completed"
    ]
    cut = next(event for event in events if event["type"] == "conversation.item.truncated")
    assert types[0] == "session.created"
    assert "error" not in types and "response.output_audio.delta" not in types
    assert any("opening hours" in text for text in heard)
    assert done[0]["status"] == "completed"
    reasons = [(response["status_details"] or {}).get("reason") for response in done]
    over = reasons.index("turn_detected")
    assert "nine to five" not in spoken[over]
    assert done[-1]["status"] == "completed" and "nine to five" in spoken[-1]
    assert cut["item_id"] == done[over]["output"][0]["id"]
    assert 0 < cut["audio_end_ms"] < 3000
    cleared = types.count("output_audio_buffer.cleared")
    assert cleared == reasons.count("turn_detected")
    assert types.count("output_audio_buffer.started") == len(done)
    assert types.count("output_audio_buffer.stopped") == len(done) - cleared
    # Between the interruption and the answer to it there is silence at the caller's ear.
    assert any(
        each.start_s < at_s < each.end_s < at_s + 1.5 for at_s in over_s for each in sounds
    ), (over_s, sounds)


async def test_a_page_writes_and_the_server_ends_the_call_of_a_closed_tab(tmp_path: Path):
    async with (
        two_sites(tmp_path) as (server, address, sdk),
        open_tab(f"{address}/realtime_page.html") as tab,
    ):
        await be_greeted(tab, server, sdk)
        await tab.page.evaluate(
            """() => {
                const text = "what are your opening hours";
                const content = [{ type: "input_text", text }];
                const item = { type: "message", role: "user", content };
                const send = (event) => realtime.channel.send(JSON.stringify(event));
                send({ type: "conversation.item.create", item });
                send({ type: "response.create" });
            }"""
        )
        await wait_for(tab, "response.done", count=2)
        replies = [event["response"] for event in await told(tab, "response.done")]

        await tab.page.goto("about:blank")
        async with asyncio.timeout(10):
            await server.logged("call_ended", "reason=caller")

    assert "nine to five" in replies[1]["output"][0]["content"][0]["transcript"]


@pytest.mark.spoken_in_a_browser
async def test_openais_agents_sdk_talks_and_is_interrupted_in_a_page(
    say: CallerVoice, tmp_path: Path
):
    await asyncio.to_thread(fetched_client)
    question = await say("what are your opening hours")
    async with (
        two_sites(tmp_path) as (server, address, sdk),
        open_tab(f"{address}/agents_page.html") as tab,
    ):
        await tab.page.wait_for_function("typeof window.call === 'function'")
        await be_greeted(tab, server, sdk)
        await tab.interrupt_until(question, INTERRUPTED_AND_ANSWERED)
        await tab.page.evaluate("realtime.session.mute(true)")
        before = Counter(event["type"] for event in await told(tab))
        await tab.page.evaluate("realtime.session.sendMessage('where are you located')")
        await wait_for_one_more(tab, "output_audio_buffer.started", before)
        await tab.page.evaluate("realtime.session.interrupt()")
        await wait_for_one_more(tab, "response.done", before)
        await wait_for_one_more(tab, "conversation.item.truncated", before)

        replies = [event["response"] for event in await told(tab, "response.done")]
        cut = [event["item_id"] for event in await told(tab, "conversation.item.truncated")]
        errors = await tab.page.evaluate("realtime.errors")
        await tab.page.evaluate("realtime.session.close()")
        async with asyncio.timeout(10):
            await server.logged("call_ended", "reason=caller")

    why = [(reply["status_details"] or {}).get("reason") for reply in replies]
    over = why.index("turn_detected")
    assert errors == []
    assert why[0] is None and why[-1] == "client_cancelled"
    assert "nine to five" not in replies[over]["output"][0]["content"][0]["transcript"]
    assert replies[over]["output"][0]["id"] in cut and replies[-1]["output"][0]["id"] == cut[-1]
