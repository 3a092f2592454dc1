"""A person calls Parley in a real browser and is greeted, understood, answered, listened to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.caller_voice import CallerVoice
from tests.e2e.browser import BrowserTab, open_tab
from tests.e2e.server import Server, running_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

DICTATION_AGENT = """
title: Listener
greeting: Hello.
engines:
  stt: {engine: builtin, use_grammar: false}
"""

HAS_WORDS = """([words, count]) => parley.events.some((event) =>
    event.event === "user_transcript" && event.final
    && new Set(event.text.split(" ").filter((word) => words.includes(word))).size >= count)"""
# A reply with the text has been played to its end.
WAS_TOLD = """(text) => parley.events.some((event) =>
    event.event === "turn_ended" && event.heard.includes(text))"""
# A reply of which something was heard has been interrupted, and one with the text been played to
# its end since.
WAS_TOLD_AFTER_INTERRUPTING = """(text) => {
    const turns = parley.events.filter((event) => event.event === "turn_ended");
    const cut = turns.findIndex((turn) => turn.interrupted && turn.heard);
    return cut >= 0 && turns.slice(cut + 1).some((turn) => turn.heard.includes(text));
}"""


async def start_call(tab: BrowserTab) -> None:
    await tab.page.wait_for_selector("[data-testid=start]:not([disabled])")
    await tab.page.click("[data-testid=start]")


async def be_greeted(tab: BrowserTab) -> None:
    await start_call(tab)
    await tab.wait_for_event("turn_ended")


@pytest.mark.spoken_in_a_browser
async def test_a_caller_is_greeted_understood_answered_and_can_interrupt(
    server: Server, say: CallerVoice
):
    question = await say("what are your opening hours")
    async with open_tab(server.url) as tab:
        await be_greeted(tab)
        greeted = await tab.sounds(gap_s=0.25)
        over_s = await tab.interrupt_until(question, WAS_TOLD_AFTER_INTERRUPTING, "nine to five")

        said = [event["text"] for event in await tab.events("user_transcript") if event["final"]]
        turns = await tab.events("turn_ended")
        sounds = await tab.sounds(gap_s=0.25)
        await tab.page.click("[data-testid=stop]")
        await tab.page.wait_for_selector("[data-testid=start]:visible")

    assert any("opening hours" in text for text in said)
    assert turns[0]["heard"].endswith("How can I help you?") and not turns[0]["interrupted"]
    cut = [turn["heard"] for turn in turns if turn["interrupted"]]
    assert cut and not any("nine to five" in heard for heard in cut)
    assert greeted, "the greeting was not heard"
    # Between the interruption and the answer to it there is silence at the caller's ear.
    assert any(
        each.start_s < at_s < each.end_s < at_s + 1.5 for at_s in over_s for each in sounds
    ), (over_s, sounds)


@pytest.mark.spoken_in_a_browser
async def test_a_persons_recorded_speech_is_transcribed(human_speech: bytes, tmp_path: Path):
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "listener.yaml").write_text(DICTATION_AGENT)
    async with (
        running_server(tmp_path, {"PARLEY_AGENT": "listener"}) as server,
        open_tab(server.url) as tab,
    ):
        await be_greeted(tab)
        words = ["it", "was", "the", "best", "of", "times", "worst"]
        await tab.say_until(human_speech, HAS_WORDS, [words, 3])


@pytest.mark.spoken_in_a_browser
async def test_two_browsers_at_once_do_not_mix(server: Server, say: CallerVoice):
    hours, place = await say("what are your opening hours"), await say("where are you")
    async with open_tab(server.url) as first, open_tab(server.url) as second:
        await asyncio.gather(be_greeted(first), be_greeted(second))
        await asyncio.gather(
            first.say_until(hours, WAS_TOLD, "Friday"),
            second.say_until(place, WAS_TOLD, "Linden Street"),
        )
        replies = [
            " ".join(turn["heard"] for turn in (await tab.events("turn_ended"))[1:])
            for tab in (first, second)
        ]
        calls = {event["call_id"] for tab in (first, second) for event in await tab.events()}

    assert "Linden Street" not in replies[0]
    assert "Friday" not in replies[1]
    assert len(calls) == 2


async def test_a_full_house_says_so_on_the_page(tmp_path: Path):
    async with (
        running_server(tmp_path, {"PARLEY_MAX_CALLS": "1"}) as server,
        open_tab(server.url) as first,
        open_tab(server.url) as second,
    ):
        await start_call(first)
        await first.wait_for_event("media_started")

        await start_call(second)
        await second.page.wait_for_selector("[data-testid=error]:visible")

        assert await second.page.is_visible("[data-testid=retry]")


async def test_a_closed_tab_ends_the_call_and_a_stopped_server_says_goodbye(
    server: Server,
):
    async with open_tab(server.url) as closing:
        await start_call(closing)
        await closing.wait_for_event("media_started")
        await closing.page.goto("about:blank")
        async with asyncio.timeout(10):
            await server.logged("call_ended", "reason=caller")

    async with open_tab(server.url) as staying:
        await start_call(staying)
        await staying.wait_for_event("turn_ended")
        assert await server.stop() == 0
        ended = await staying.events("call_ended")

    assert [event["reason"] for event in ended] == ["drain"]


async def test_a_typed_message_is_answered(server: Server):
    async with open_tab(server.url) as tab:
        await start_call(tab)
        await tab.wait_for_event("turn_ended")

        await tab.page.fill("[data-testid=message]", "what are your opening hours")
        await tab.page.click("[data-testid=send]")
        await tab.wait_for_event("turn_ended", count=2)

        assert "Friday" in (await tab.events("turn_ended"))[1]["heard"]
        assert "what are your opening hours" in await tab.transcript()
