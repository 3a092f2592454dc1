"""A call on the page, in a real browser, against a stand-in server with real WebRTC."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Server
from tests.console.driver import GREETING, call, in_state, types

pytestmark = pytest.mark.e2e

STAGES = {"endpointing_ms": 300, "silence_ms": 200, "stt_ms": 90, "llm_ms": 20, "tts_ms": 40}


def test_a_call_names_its_agent_and_asks_for_retransmissions(page: Page, server: Server) -> None:
    page.get_by_test_id("voice").select_option("en-gb+m2")

    call(page)

    report = server.wait_for(lambda r: r["patches"] and "ping" in r["messages"])
    offer = report["offers"][0]
    assert offer["request_data"] == {"agent": "receptionist", "voice": "en-gb+m2"}
    assert "nack\r\n" in offer["sdp"]
    assert report["patches"][0]["pc_id"] == "pc_1"
    assert types(report).count("client-ready") == 1


def test_hanging_up_says_goodbye_and_lets_go_of_the_microphone(page: Page, server: Server) -> None:
    call(page)
    microphone = page.evaluate_handle("() => parley.client.microphone.getAudioTracks()[0]")

    page.get_by_test_id("stop").click()

    in_state(page, "ended")
    report = server.wait_for(lambda r: r["closed"])
    assert [t for t in types(report) if t != "ping"][-2:] == ["disconnect-bot", "goodbye"]
    assert microphone.evaluate("track => track.readyState") == "ended"
    expect(page.get_by_test_id("transcript")).to_contain_text("You ended the call")


def test_leaving_the_page_ends_the_call(page: Page, server: Server) -> None:
    call(page)

    page.reload()

    server.wait_for(lambda r: r["closed"] == ["pc_1"])


def test_the_agent_hanging_up_ends_the_call(page: Page, server: Server) -> None:
    call(page)

    server.tell(say=[{"event": "call_ended", "reason": "agent", "duration_s": 3}])

    in_state(page, "ended")
    expect(page.get_by_test_id("transcript")).to_contain_text("The agent ended the call")
    expect(page.get_by_test_id("start")).to_have_text("Call again")


def test_a_call_that_breaks_says_why_and_can_be_made_again(page: Page, server: Server) -> None:
    call(page)

    failure = {"event": "call_failed", "code": "engine_failed", "message": "The voice broke."}
    server.tell(say=[failure, {"event": "call_ended", "reason": "error", "duration_s": 3}])

    expect(page.get_by_test_id("error")).to_contain_text("The voice broke.")
    page.get_by_test_id("retry").click()
    in_state(page, "live")


def test_both_sides_are_written_as_they_speak(page: Page, server: Server) -> None:
    call(page)
    lines = page.get_by_test_id("transcript").locator(".said")

    server.tell(
        say=[
            GREETING,
            {"event": "user_speech_started"},
            {"event": "user_transcript", "text": "when are", "final": False},
        ]
    )

    expect(lines).to_have_text(["Good morning.", "when are"])
    server.tell(say=[{"event": "user_transcript", "text": "When are you open?", "final": True}])
    expect(lines).to_have_text(["Good morning.", "When are you open?"])
    expect(page.locator("#spoken")).to_have_text("You: When are you open?")


def test_an_interrupted_reply_shows_what_was_not_heard(page: Page, server: Server) -> None:
    call(page)

    text = "We open at eight. We close at six."
    end = {"event": "turn_ended", "stages": {}, "interrupted": True, "heard": "We open at eight."}
    server.tell(say=[{"event": "agent_text", "text": text}, end])

    expect(page.locator(".unheard")).to_contain_text("We close at six.")
    expect(page.get_by_test_id("transcript")).to_contain_text("Interrupted")


def test_a_reply_time_opens_into_its_stages_with_the_keyboard(page: Page, server: Server) -> None:
    call(page)
    end = {"event": "turn_ended", "stages": {**STAGES, "reply_ms": 360}, "interrupted": False}
    server.tell(say=[GREETING, {**end, "heard": "Good morning."}])
    latency = page.get_by_test_id("latency")

    page.locator("#scroll").focus()
    page.keyboard.press("Tab")

    expect(latency).to_have_text("0.36 s")
    expect(page.locator(".breakdown")).to_be_visible()
    expect(page.locator(".breakdown dd")).to_have_text(["200 ms", "100 ms", "20 ms", "40 ms"])
    page.keyboard.press("Escape")
    expect(page.locator(".breakdown")).to_be_hidden()


def test_typed_text_is_sent_and_shown_once(page: Page, server: Server) -> None:
    call(page)

    page.get_by_test_id("message").fill("Book me in")
    page.keyboard.press("Enter")

    report = server.wait_for(lambda r: "send-text" in types(r))
    sent = next(m for m in report["messages"] if m != "ping" and m["type"] == "send-text")
    assert sent["data"]["content"] == "Book me in"
    server.tell(say=[{"event": "user_transcript", "text": "Book me in", "final": True}, GREETING])
    lines = page.get_by_test_id("transcript").locator(".said")
    expect(lines).to_have_text(["Book me in", "Good morning."])


def test_mute_keeps_the_microphone_silent_until_it_is_pressed_again(page: Page) -> None:
    call(page)
    mute = page.get_by_test_id("mute")
    is_on = "() => parley.client.microphone.getAudioTracks()[0].enabled"

    mute.click()

    expect(mute).to_have_attribute("aria-pressed", "true")
    assert page.evaluate(is_on) is False
    mute.click()
    assert page.evaluate(is_on) is True


def test_another_voice_can_be_chosen_in_mid_call(page: Page, server: Server) -> None:
    call(page)

    page.get_by_test_id("voice").select_option("de+f2")

    report = server.wait_for(lambda r: "client-message" in types(r))
    message = next(m for m in report["messages"] if m != "ping" and m["type"] == "client-message")
    assert message["data"] == {"t": "set_voice", "d": {"voice": "de+f2"}}


def test_the_state_follows_the_conversation(page: Page, server: Server) -> None:
    call(page)
    state = page.get_by_test_id("state")
    expect(state).to_have_text("Listening")

    for event, words in [
        ("user_speech_started", "Hearing you"),
        ("user_speech_stopped", "Thinking"),
        ("agent_speech_started", "Speaking"),
    ]:
        server.tell(say=[{"event": event}])
        expect(state).to_have_text(words)


def test_the_agent_s_level_moves_with_its_voice(page: Page, server: Server) -> None:
    call(page)

    server.tell(hum=True)

    meter = page.locator("#level-agent")
    meter.and_(page.locator(":not([aria-valuenow='0'])")).wait_for()


def test_a_scripted_mind_is_not_passed_off_as_a_model(page: Page) -> None:
    note = page.get_by_test_id("script-note")
    expect(note).to_contain_text("no language model")

    page.get_by_test_id("agent").select_option("companion")

    expect(note).to_be_hidden()
    expect(page.locator("h1")).to_have_text("Companion")
