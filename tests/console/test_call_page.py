"""The call page in a real browser, against a stand-in server with real WebRTC."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.console.conftest import Server

pytestmark = pytest.mark.e2e

GREETING = {"event": "agent_text", "text": "Good morning."}
STAGES = {"endpointing_ms": 300, "silence_ms": 200, "stt_ms": 90, "llm_ms": 20, "tts_ms": 40}
BUSY = [
    503,
    {"error": {"message": "4 of 4 calls.", "type": "server_error", "code": "call_limit_reached"}},
    {"Retry-After": "20"},
]


def call(page: Page) -> None:
    page.get_by_test_id("start").click()
    in_state(page, "live")


def in_state(page: Page, state: str, within_ms: int = 20_000) -> None:
    expect(page.get_by_test_id("state")).to_have_attribute("data-state", state, timeout=within_ms)


def types(report: dict[str, Any]) -> list[str]:
    return ["ping" if m == "ping" else m["type"] for m in report["messages"]]


def fail_microphone(page: Page, name: str) -> None:
    script = f"() => navigator.mediaDevices.getUserMedia = async () => {{ throw {name} }}"
    page.evaluate(script)


# ── a call ───────────────────────────────────────────────────────────────────────────────────


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


# ── a network that comes and goes ────────────────────────────────────────────────────────────


def test_silence_on_the_line_brings_a_new_connection_to_the_same_session(
    page: Page, server: Server
) -> None:
    call(page)
    server.tell(say=[GREETING])
    page.evaluate("() => { window.states = []; parley.client.on('state', s => states.push(s)) }")

    server.tell(freeze=True)

    server.wait_for(lambda r: len(r["offers"]) == 2)
    in_state(page, "live")
    assert page.evaluate("() => states") == ["reconnecting", "live"]
    report = server.wait_for(lambda r: r["closed"] == ["pc_1"])
    assert [o.get("restart_pc") for o in report["offers"]] == [None, True]
    assert report["offers"][1]["pc_id"] == "pc_1"
    assert types(report).count("client-ready") == 1
    expect(page.get_by_test_id("transcript").locator(".said")).to_have_text(["Good morning."])
    server.tell(say=[{"event": "agent_text", "text": "Still here."}])
    expect(page.get_by_test_id("transcript")).to_contain_text("Still here.")


def test_a_network_that_comes_back_elsewhere_brings_a_new_connection(
    page: Page, context: BrowserContext, server: Server
) -> None:
    call(page)

    context.set_offline(True)
    context.set_offline(False)

    report = server.wait_for(lambda r: len(r["offers"]) == 2)
    assert report["offers"][1]["restart_pc"] is True
    in_state(page, "live")


def test_a_session_that_is_gone_when_the_network_returns_is_an_ended_call(
    page: Page, server: Server
) -> None:
    call(page)

    server.tell(forget=True, freeze=True)

    in_state(page, "ended")
    expect(page.get_by_test_id("transcript")).to_contain_text("The call is over")


def test_another_session_is_not_passed_off_as_the_lost_one(page: Page, server: Server) -> None:
    call(page)

    # As after the server's own restart: it knows nothing of the call and takes a new one.
    server.tell(forget=True, welcomes_strangers=True, freeze=True)

    in_state(page, "ended")
    server.wait_for(lambda r: "goodbye" in types(r) and "pc_2" in r["closed"])


def test_a_far_side_that_has_left_ends_the_call(page: Page, server: Server) -> None:
    call(page)

    server.tell(send={"type": "signalling", "message": {"type": "peerLeft"}})

    in_state(page, "ended")


def test_a_connection_that_stays_lost_says_so_and_can_be_retried(
    page: Page, server: Server
) -> None:
    call(page)

    server.tell(freeze=True, refusals={"POST /api/offer": BUSY})

    in_state(page, "failed", within_ms=30_000)
    expect(page.get_by_test_id("error")).to_contain_text("The connection was lost")
    server.tell(refusals={})
    page.get_by_test_id("retry").click()
    in_state(page, "live")


# ── no call ──────────────────────────────────────────────────────────────────────────────────


def test_a_full_house_is_said_in_a_friendly_sentence(page: Page, server: Server) -> None:
    server.tell(refusals={"POST /api/offer": BUSY})

    page.get_by_test_id("start").click()

    error = page.get_by_test_id("error")
    expect(error).to_contain_text("All lines are busy")
    expect(error).to_contain_text("20 seconds")
    server.tell(refusals={})
    page.get_by_test_id("retry").click()
    in_state(page, "live")


def test_a_key_is_asked_for_once_and_kept_for_the_tab(page: Page, server: Server) -> None:
    server.tell(key="sesame")
    page.reload()

    page.get_by_test_id("key").fill("sesame")
    page.keyboard.press("Enter")
    call(page)
    page.reload()

    page.get_by_test_id("start").and_(page.locator(":enabled")).wait_for()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert server.report()["keys"][-1] == "sesame"


def test_a_server_that_is_away_can_be_tried_again(page: Page, server: Server) -> None:
    page.route("**/api/agents", lambda route: route.abort())
    page.reload()
    expect(page.get_by_test_id("error")).to_contain_text("The server does not answer")

    page.unroute("**/api/agents")
    page.get_by_test_id("retry").click()

    expect(page.get_by_test_id("start")).to_be_enabled()
    expect(page.get_by_test_id("error")).to_be_hidden()


@pytest.mark.parametrize(
    ("thrown", "words"),
    [
        ("new DOMException('', 'NotFoundError')", "No microphone found"),
        ("new DOMException('', 'NotReadableError')", "The microphone is in use"),
        ("new DOMException('Permission dismissed', 'NotAllowedError')", "was not allowed"),
        ("new DOMException('Permission denied by system', 'NotAllowedError')", "system keeps"),
        ("new Error('surprise')", "could not be opened"),
    ],
)
def test_a_missing_microphone_is_explained_and_one_can_type_instead(
    page: Page, thrown: str, words: str
) -> None:
    fail_microphone(page, thrown)
    page.get_by_test_id("start").click()
    expect(page.get_by_test_id("error")).to_contain_text(words)

    page.get_by_test_id("type-only").click()

    in_state(page, "live")
    expect(page.get_by_test_id("mute")).to_be_hidden()
    expect(page.get_by_test_id("message")).to_be_enabled()


def test_a_blocked_microphone_is_explained(browser: Browser, server: Server) -> None:
    with browser.new_context(permissions=[]) as strict:
        page = strict.new_page()
        page.goto(server.url)

        page.get_by_test_id("start").click()

        expect(page.get_by_test_id("error")).to_contain_text("The microphone")
        assert server.report()["offers"] == []


def test_an_insecure_page_says_how_to_open_a_secure_one(page: Page) -> None:
    page.evaluate("() => Object.defineProperty(window, 'isSecureContext', { value: false })")

    page.get_by_test_id("start").click()

    expect(page.get_by_test_id("error")).to_contain_text("https")


# ── people ───────────────────────────────────────────────────────────────────────────────────


def test_every_control_has_a_name(page: Page, server: Server) -> None:
    call(page)

    for role in ("button", "combobox", "textbox", "checkbox", "meter"):
        for control in page.get_by_role(role).all():  # pyright: ignore[reportArgumentType]
            name = control.evaluate(
                "e => e.ariaLabel || e.labels?.[0]?.textContent || e.textContent.trim()"
            )
            assert name, control.evaluate("e => e.outerHTML")


def test_the_keyboard_alone_can_start_and_end_a_call(page: Page) -> None:
    start = page.get_by_test_id("start")
    start.focus()

    page.keyboard.press("Enter")

    in_state(page, "live")
    expect(page.get_by_test_id("stop")).to_be_focused()
    page.keyboard.press("Enter")
    in_state(page, "ended")
    expect(start).to_be_focused()


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_sticks_out_sideways(page: Page, server: Server, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    call(page)
    server.tell(say=[{"event": "agent_text", "text": "Donaudampfschifffahrt" * 9}])
    expect(page.get_by_test_id("transcript")).to_contain_text("Donau")

    excess = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")

    assert excess <= 0
    for name in ("stop", "mute", "message"):
        expect(page.get_by_test_id(name)).to_be_in_viewport()
