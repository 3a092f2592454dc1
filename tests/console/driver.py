"""What a person does on the call page, and what the stand-in server says and saw."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

GREETING = {"event": "agent_text", "text": "Good morning."}
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
    """The types of the messages that the page sent, in order."""
    return ["ping" if m == "ping" else m["type"] for m in report["messages"]]
