"""A network that comes and goes under a call."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.console.conftest import Server
from tests.console.driver import BUSY, GREETING, call, in_state, types

pytestmark = pytest.mark.e2e


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
