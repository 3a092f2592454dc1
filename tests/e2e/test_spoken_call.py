"""A person calls Parley in a real browser and is greeted, understood, answered, listened to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.caller_voice import CallerVoice
from tests.e2e.browser import BrowserTab, open_tab, write_microphone
from tests.e2e.server import Server, running_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

DICTATION_AGENT = """
title: Listener
greeting: Hello.
engines:
  stt: {engine: builtin, use_grammar: false}
"""


async def start_call(tab: BrowserTab) -> None:
    await tab.page.wait_for_selector("[data-testid=start]:not([disabled])")
    await tab.page.click("[data-testid=start]")


def said_again(sentence: bytes) -> list[tuple[float, bytes]]:
    """When a caller says it: again after a while, as people do who were not understood. Two
    browsers and a server on one busy machine tear holes into each other's sound."""
    return [(at_s, sentence) for at_s in (6.0, 17.0, 28.0, 39.0)]


async def test_a_caller_is_greeted_understood_answered_and_can_interrupt(
    server: Server, say: CallerVoice, tmp_path: Path
):
    question = await say("what are your opening hours")
    # The reply begins some 2 s after the question began to be asked, on a busy machine 4, and lasts
    # three seconds. The caller asks again over it, and all of it once more if that missed it.
    said_at_s = (6.0, 9.2, 20.0, 24.4, 35.0, 38.8, 49.0)
    speech = [(at_s, question) for at_s in said_at_s]
    microphone = write_microphone(tmp_path / "mic.wav", speech, 60.0)
    async with open_tab(server.url, microphone) as tab:
        await start_call(tab)
        await tab.wait_for_answer_to_interruption("nine to five")

        said = [event["text"] for event in await tab.events("user_transcript") if event["final"]]
        turns = await tab.events("turn_ended")
        sounds = await tab.sounds(gap_s=0.25)
        await tab.page.click("[data-testid=stop]")
        await tab.page.wait_for_selector("[data-testid=start]:visible")

    assert any("opening hours" in text for text in said)
    # A machine that is slow to connect greets so late that the greeting itself is interrupted.
    assert turns[0]["heard"].startswith("Hello")
    cut = [turn["heard"] for turn in turns if turn["interrupted"]]
    assert cut and not any("nine to five" in heard for heard in cut)
    assert sounds[0].start_s < said_at_s[1], "the greeting was not heard"
    # Between the interruption and the answer to it there is silence at the caller's ear.
    assert any(
        each.start_s < at_s < each.end_s < at_s + 1.5 for at_s in said_at_s for each in sounds
    ), sounds


async def test_a_persons_recorded_speech_is_transcribed(human_speech: bytes, tmp_path: Path):
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "listener.yaml").write_text(DICTATION_AGENT)
    microphone = write_microphone(tmp_path / "mic.wav", said_again(human_speech), 60.0)
    async with (
        running_server(tmp_path, {"PARLEY_AGENT": "listener"}) as server,
        open_tab(server.url, microphone) as tab,
    ):
        await start_call(tab)
        await tab.wait_for_words("it was the best of times worst", at_least=3)


async def test_two_browsers_at_once_do_not_mix(server: Server, say: CallerVoice, tmp_path: Path):
    hours = write_microphone(
        tmp_path / "a.wav", said_again(await say("what are your opening hours")), 60.0
    )
    place = write_microphone(tmp_path / "b.wav", said_again(await say("where are you")), 60.0)
    async with open_tab(server.url, hours) as first, open_tab(server.url, place) as second:
        await asyncio.gather(start_call(first), start_call(second))
        await asyncio.gather(first.wait_for_reply("Friday"), second.wait_for_reply("Linden Street"))
        replies = [
            " ".join(turn["heard"] for turn in await tab.events("turn_ended"))
            for tab in (first, second)
        ]
        calls = {event["call_id"] for tab in (first, second) for event in await tab.events()}

    assert "Linden Street" not in replies[0]
    assert "Friday" not in replies[1]
    assert len(calls) == 2


async def test_a_full_house_says_so_on_the_page(tmp_path: Path):
    microphone = write_microphone(tmp_path / "mic.wav", [], 30.0)
    async with (
        running_server(tmp_path, {"PARLEY_MAX_CALLS": "1"}) as server,
        open_tab(server.url, microphone) as first,
        open_tab(server.url, microphone) as second,
    ):
        await start_call(first)
        await first.wait_for_event("media_started")

        await start_call(second)
        await second.page.wait_for_selector("[data-testid=error]:visible")

        assert await second.page.is_visible("[data-testid=retry]")


async def test_a_closed_tab_ends_the_call_and_a_stopped_server_says_goodbye(
    server: Server, tmp_path: Path
):
    microphone = write_microphone(tmp_path / "mic.wav", [], 60.0)
    async with open_tab(server.url, microphone) as closing:
        await start_call(closing)
        await closing.wait_for_event("media_started")
        await closing.page.goto("about:blank")
        async with asyncio.timeout(10):
            await server.logged("call_ended", "reason=caller")

    async with open_tab(server.url, microphone) as staying:
        await start_call(staying)
        await staying.wait_for_event("turn_ended")
        assert await server.stop() == 0
        ended = await staying.events("call_ended")

    assert [event["reason"] for event in ended] == ["drain"]


async def test_a_typed_message_is_answered(server: Server, tmp_path: Path):
    microphone = write_microphone(tmp_path / "mic.wav", [], 60.0)
    async with open_tab(server.url, microphone) as tab:
        await start_call(tab)
        await tab.wait_for_event("turn_ended")

        await tab.page.fill("[data-testid=message]", "what are your opening hours")
        await tab.page.click("[data-testid=send]")
        await tab.wait_for_event("turn_ended", count=2)

        assert "Friday" in (await tab.events("turn_ended"))[1]["heard"]
        assert "what are your opening hours" in await tab.transcript()
