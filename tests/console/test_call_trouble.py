"""What the page does when there can be no call."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.conftest import Server
from tests.console.driver import BUSY, call, in_state

pytestmark = pytest.mark.e2e


def fail_microphone(page: Page, thrown: str) -> None:
    page.evaluate(f"() => navigator.mediaDevices.getUserMedia = async () => {{ throw {thrown} }}")


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
