"""The page for people with a keyboard, a screen reader or a small screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Server
from tests.console.driver import call, in_state

pytestmark = pytest.mark.e2e


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
