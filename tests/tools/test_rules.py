"""What an agent's file may say of single tools."""

from __future__ import annotations

import pytest

from parley.tools.rules import ToolRules, stray_rule, with_rules
from parley.tools.spec import Tool, ToolCall, idempotency_key


async def nothing(_: ToolCall) -> None:
    """Does nothing."""


LOOK = Tool("look", "Looks.", nothing)
BOOK = Tool("book", "Books.", nothing, interruptible=False, timeout_s=20, filler="Booking.")


def test_what_is_left_out_stays_as_the_provider_has_it():
    (look, book) = with_rules([LOOK, BOOK], {"book": ToolRules(confirms=True)})

    assert look is LOOK
    assert (book.confirms, book.timeout_s, book.filler) == (True, 20, "Booking.")


@pytest.mark.parametrize(("word", "is_cut"), [("cancel", True), ("finish", False)])
def test_an_interruption_cancels_or_not(word: str, is_cut: bool):
    rules = ToolRules.model_validate({"on_interruption": word})

    assert [rules.applied_to(tool).interruptible for tool in (LOOK, BOOK)] == [is_cut, is_cut]


@pytest.mark.parametrize(("word", "is_cut"), [("cancel", True), ("finish", False), (None, False)])
def test_what_changes_something_is_cut_off_only_where_the_file_says_so(
    word: str | None, is_cut: bool
):
    rules = ToolRules.model_validate({"changes": True, "on_interruption": word})

    assert rules.applied_to(LOOK).interruptible is is_cut


def test_a_rule_for_a_tool_that_the_agent_lacks_is_a_mistake():
    rules = {"bok": ToolRules(confirms=True)}

    assert stray_rule([LOOK, BOOK], rules, ["diary"]).endswith("Did you mean book?")
    assert stray_rule([LOOK, BOOK], {"book": ToolRules()}, ["diary"]) == ""


def test_a_tool_that_others_may_yet_tell_of_is_no_mistake():
    assert stray_rule([LOOK], {"later": ToolRules()}, ["diary", "mcp"]) == ""


def test_an_idempotency_key_is_that_of_one_use():
    uses = [("c1", "book", "a"), ("c1", "book", "b"), ("c2", "book", "a"), ("c1", "move", "a")]

    assert len({idempotency_key(*use) for use in uses}) == len(uses)
    assert idempotency_key("c1", "book", "a") == idempotency_key("c1", "book", "a")
