"""What can't be taken back is done only after the caller was asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from parley.core.events import Event
from parley.engines.spec import Delta, Message, ToolRequest
from parley.session.confirmation import UNCONFIRMED, asks_first, verdict_on
from parley.session.toolbelt import Toolbelt
from parley.testing.engines import FakeChatter
from parley.tools.book import RunBegan, RunOver
from parley.tools.spec import Tool, ToolCall
from tests.session.fakes import FakeHouse, agent_with, start_call
from tests.session.test_turn_runner import HELLO, Office, booking, text_of, turn, wants
from tests.tools.actions import FakeActions

ADA = {"name": "Ada", "day": "2026-11-23"}
ASKED = json.dumps(asks_first("book"))


def called(id: str, result: str, **arguments: Any) -> list[Message]:
    function = {"name": "book", "arguments": json.dumps(arguments)}
    return [
        {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": id, "content": result},
    ]


def said(role: str, text: str) -> Message:
    return {"role": role, "content": text}


BOOK_IT = said("user", "Book Monday for Ada.")
SAID_BACK = said("assistant", "Ada, on Monday. Is that right?")
YES = said("user", "Yes, please.")


def verdict(messages: list[Message], **arguments: Any) -> str:
    return verdict_on("book", "id_now", arguments or ADA, messages)


def test_the_first_request_is_not_confirmed():
    assert verdict([BOOK_IT]) == "unconfirmed"


def test_the_same_request_is_confirmed_once_the_caller_has_answered():
    assert verdict([BOOK_IT, *called("id_1", ASKED, **ADA), SAID_BACK, YES]) == ""


def test_spelling_makes_no_difference():
    messages = [BOOK_IT, *called("id_1", ASKED, **ADA), SAID_BACK, YES]

    assert verdict(messages, day="2026-11-23", name=" ada ", note="") == ""


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([*called("id_1", ASKED, **ADA)], id="nobody has been asked"),
        pytest.param([*called("id_1", ASKED, **ADA), SAID_BACK], id="nobody has answered"),
        pytest.param([*called("id_1", ASKED, **ADA), YES], id="nothing was said back"),
        pytest.param(
            [*called("id_1", ASKED, name="Bob", day="2026-11-23"), SAID_BACK, YES],
            id="it was about something else",
        ),
        pytest.param(
            [*called("id_1", ASKED, **ADA), SAID_BACK, YES, *called("id_2", '{"ok": 1}', **ADA)],
            id="the yes has been used",
        ),
        pytest.param(
            [*called("id_1", ASKED, **ADA), SAID_BACK, YES, *called("id_2", "IN_PROGRESS", **ADA)],
            id="it is being done",
        ),
        pytest.param([SAID_BACK, YES], id="the question was forgotten"),
    ],
)
def test_anything_less_is_not_confirmed(messages: list[Message]):
    assert verdict([BOOK_IT, *messages]) == "unconfirmed"


@pytest.mark.parametrize("answer", ["No.", "No, thank you!", "nein danke", "Non."])
def test_a_bare_no_declines(answer: str):
    messages = [BOOK_IT, *called("id_1", ASKED, **ADA), SAID_BACK, said("user", answer)]

    assert verdict(messages) == "declined"


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["No.", "Tuesday."], "declined"),
        (["Yes.", "No."], "declined"),
        (["No", "problem, go ahead."], ""),
    ],
)
def test_an_answer_that_comes_in_pieces_is_one(pieces: list[str], expected: str):
    asked = [BOOK_IT, *called("id_1", ASKED, **ADA), SAID_BACK]

    assert verdict([*asked, *(said("user", piece) for piece in pieces)]) == expected


def test_a_yes_to_what_was_asked_later_takes_no_earlier_no_back():
    monday, tuesday = ADA, {**ADA, "day": "2026-11-24"}
    messages = [
        *(BOOK_IT, *called("id_1", ASKED, **monday), SAID_BACK, said("user", "No, Tuesday.")),
        *(*called("id_2", ASKED, **tuesday), said("assistant", "Tuesday, then?"), YES),
    ]

    assert (verdict(messages, **tuesday), verdict(messages, **monday)) == ("", "declined")


def test_a_no_may_be_taken_back():
    no = [BOOK_IT, *called("id_1", ASKED, **ADA), SAID_BACK, said("user", "No.")]

    assert (
        verdict([*no, said("assistant", "What shall I change?"), said("user", "Oh, book it.")])
        == ""
    )


@pytest.mark.parametrize("failed", ["CANCELLED", '{"error": "The line was busy."}'])
def test_what_came_to_nothing_may_be_tried_again(failed: str):
    messages = [BOOK_IT, *called("id_1", ASKED, **ADA), SAID_BACK, YES]

    assert verdict([*messages, *called("id_2", failed, **ADA)]) == ""


class Diary:
    def __init__(self) -> None:
        self.booked: list[dict[str, Any]] = []

    async def book(self, call: ToolCall) -> dict[str, bool]:
        self.booked.append(dict(call.arguments))
        return {"booked": True}

    def tool(self) -> Tool:
        return Tool("book", "Books.", self.book, confirms=True)


def eager(messages: list[Message]) -> Delta | str:
    """A model that books whatever the caller says, and words what comes of it."""
    last = messages[-1]
    if last["role"] != "tool":
        return Delta(tools=(ToolRequest(f"id_{len(messages)}", "book", ADA),))
    return "Ada on Monday?" if "needs_confirmation" in str(last["content"]) else "It is booked."


async def test_an_eager_model_books_only_after_the_caller_has_answered(house: FakeHouse):
    diary = Diary()
    house.agents = [agent_with(greeting="")]
    house.tools, house.llm = [diary.tool()], FakeChatter(eager)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("book Monday")
        await call.until("turn_ended")
        booked_before = list(diary.booked)
        await call.control.ask("yes")
        ended = await call.until("turn_ended", count=2)

        refused = await call.until("tool_refused")
        assert (booked_before, diary.booked) == ([], [ADA])
        assert (refused.tool, refused.reason) == ("book", "unconfirmed")
        assert ended.heard == "It is booked."


async def test_an_eager_model_does_not_book_what_the_caller_corrects(house: FakeHouse):
    diary = Diary()
    house.agents = [agent_with(greeting="")]
    house.tools, house.llm = [diary.tool()], FakeChatter(eager)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("book Monday")
        await call.until("turn_ended")
        await call.control.ask("no, Tuesday")
        await call.until("turn_ended", count=2)

        refused = await call.until("tool_refused", count=2)
        assert (diary.booked, refused.reason) == ([], "declined")


async def test_a_model_that_numbers_its_requests_anew_is_told_apart_all_the_same(house: FakeHouse):
    diary = Diary()

    def forgetful(messages: list[Message]) -> Delta | str:
        reply = eager(messages)
        return reply if isinstance(reply, str) else Delta(tools=(replace(reply.tools[0], id="1"),))

    house.agents = [agent_with(greeting="")]
    house.tools, house.llm = [diary.tool()], FakeChatter(forgetful)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("book Monday")
        await call.until("turn_ended")
        await call.control.ask("yes")
        ended = await call.until("turn_ended", count=2)

        assert (diary.booked, ended.heard) == ([ADA], "It is booked.")


@dataclass
class Book:
    """A tool book that is open on the desk."""

    runs: list[RunBegan | RunOver] = field(default_factory=list)

    def began(self, run: RunBegan) -> None:
        self.runs.append(run)

    def ended(self, run: RunOver) -> None:
        self.runs.append(run)


def test_what_was_held_back_is_told_and_written_down():
    book, told = Book(), list[Event]()
    tool = Diary().tool()
    belt = Toolbelt([tool], FakeActions(), told.append, book=book)

    refusal = belt.refusal(tool, ToolRequest("id_now", "book", {**ADA, "pin": "1234"}), [BOOK_IT])

    began, ended = book.runs
    assert refusal == asks_first("book")
    assert [event.name for event in told] == ["tool_refused"]
    assert (began.arguments["pin"], ended.state, ended.error_code) == (
        "***",
        "failed",
        "unconfirmed",
    )


async def test_the_model_is_told_to_leave_the_asking_to_the_tool(house: FakeHouse):
    diary = Diary()
    house.agents = [agent_with(greeting="")]
    house.tools, house.llm = [diary.tool()], FakeChatter(eager)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("book Monday")
        await call.until("turn_ended")

        (offered,) = house.llm.tools
        assert offered.description.startswith("Books. Use it as soon as you know the details")


async def test_an_engine_that_has_asked_itself_is_not_made_to_ask_again(house: FakeHouse):
    diary = Diary()

    def script(messages: list[Message]) -> Delta | str:
        if messages[-1]["role"] == "tool":
            return "It is booked."
        return Delta(tools=(ToolRequest("id_1", "book", ADA, is_confirmed=True),))

    house.agents = [agent_with(greeting="")]
    house.tools, house.llm = [diary.tool()], FakeChatter(script)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("yes, book it")
        await call.until("turn_ended")

        assert diary.booked == [ADA]
        assert "tool_refused" not in call.names()


@pytest.mark.parametrize("numbered_anew", [False, True])
async def test_what_must_be_confirmed_waits_for_the_next_request(numbered_anew: bool) -> None:
    done: list[Any] = []

    def mind(heard: Sequence[Message]) -> Any:
        if heard[-1]["role"] != "tool":
            id = "c" if numbered_anew else f"c{len(heard)}"
            return wants(ToolRequest(id, "book", {"day": "Monday"}))
        is_open = json.loads(heard[-1]["content"])["status"] == UNCONFIRMED
        return "Monday, is that right?" if is_open else "It is booked."

    tool = replace(booking(done), confirms=True)
    async with Office(FakeChatter(mind), [tool]).runner() as runner:
        first = text_of(await turn(runner)).strip()
        done_before = list(done)
        answer = [{"role": "assistant", "content": first}, {"role": "user", "content": "Yes."}]
        second = text_of(await turn(runner, [*HELLO, *answer])).strip()

    assert (first, done_before) == ("Monday, is that right?", [])
    assert (second, done) == ("It is booked.", [{"day": "Monday"}])


async def test_what_is_asked_for_twice_in_one_breath_is_done_once() -> None:
    done: list[Any] = []
    monday = {"day": "Monday"}

    def mind(heard: Sequence[Message]) -> Any:
        if heard[-1]["role"] != "tool":
            twice = ("a", "b") if len(heard) > 3 else ("a",)
            return wants(*(ToolRequest(f"{id}{len(heard)}", "book", monday) for id in twice))
        return "So it is."

    tool = replace(booking(done), confirms=True)
    async with Office(FakeChatter(mind), [tool]).runner() as runner:
        first = text_of(await turn(runner)).strip()
        answer = [{"role": "assistant", "content": first}, {"role": "user", "content": "Yes."}]
        await turn(runner, [*HELLO, *answer])

    assert done == [monday]


async def test_what_is_asked_for_twice_in_one_breath_of_a_call_is_done_once(house: FakeHouse):
    diary = Diary()

    def mind(messages: list[Message]) -> Delta | str:
        if messages[-1]["role"] == "tool":
            return "So it is."
        ids = ("a", "b") if len(messages) > 4 else ("a",)
        return Delta(tools=tuple(ToolRequest(f"{id}{len(messages)}", "book", ADA) for id in ids))

    house.agents = [agent_with(greeting="")]
    house.tools, house.llm = [diary.tool()], FakeChatter(mind)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("book Monday")
        await call.until("turn_ended")
        await call.control.ask("yes")
        await call.until("turn_ended", count=2)

        assert diary.booked == [ADA]
        assert call.names().count("tool_refused") == 2
