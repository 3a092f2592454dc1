"""Every run of a tool is written down: before it begins, and with what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from parley.core.errors import ToolFailed
from parley.core.events import Event, ToolEnded
from parley.engines.spec import ToolRequest
from parley.session.toolbelt import Toolbelt, Whose
from parley.session.written_actions import WrittenActions
from parley.tools.book import RunBegan, RunOver
from parley.tools.spec import Tool, ToolCall, idempotency_key
from tests.session.fakes import FakeHouse, agent_with, start_call
from tests.session.test_toolbelt import asks_for


class Book:
    """What was written down, in order."""

    def __init__(self) -> None:
        self.entries: list[RunBegan | RunOver] = []

    def began(self, run: RunBegan) -> None:
        self.entries.append(run)

    def ended(self, run: RunOver) -> None:
        self.entries.append(run)

    @property
    def run(self) -> tuple[RunBegan, RunOver]:
        began, over = self.entries
        assert isinstance(began, RunBegan) and isinstance(over, RunOver)
        return began, over


def belt(book: Book, tool: Tool) -> Toolbelt:
    actions = WrittenActions("turn_1")
    return Toolbelt([tool], actions, lambda _: None, Whose("acme", "front"), book=book)


async def test_a_run_in_a_call_is_on_record_before_the_tool_is_asked(house: FakeHouse) -> None:
    book = Book()
    seen: list[int] = []

    async def book_slot(call: ToolCall) -> object:
        seen.append(len(book.entries))
        return {"booked": call.arguments["at"], "run": call.run_id}

    house.agents = [agent_with(greeting="")]
    house.tools = [Tool("book", "Books.", book_slot, provider="webhook", timeout_s=7)]
    house.llm = asks_for("book", at="10:00", pin="1234")
    house.tool_book = book
    async with house.host() as host:
        call = start_call(host, tenant="acme")
        await call.until("media_started")
        await call.control.ask("book it")
        await call.until("turn_ended")

    began, over = book.run
    assert seen == [1]
    assert (began.tool, began.provider, began.timeout_s) == ("book", "webhook", 7)
    assert (began.tenant, began.agent, began.call_id) == ("acme", "tester", call.control.call_id)
    assert began.arguments == {"at": "10:00", "pin": "***"}
    assert began.idempotency_key == idempotency_key(began.call_id, "book", "call_1")
    assert (over.id, over.state) == (began.id, "answered")
    assert over.answer == {"booked": "10:00", "run": began.id}


async def hang(_: ToolCall) -> None:
    await asyncio.Event().wait()


async def fail(_: ToolCall) -> None:
    raise ToolFailed("The diary is closed.")


async def break_down(_: ToolCall) -> None:
    raise KeyError("day")


@pytest.mark.parametrize(
    ("run", "code", "error"),
    [
        (hang, "tool_timeout", "did not answer"),
        (fail, "tool_failed", "The diary is closed."),
        (break_down, "internal_error", "KeyError"),
    ],
)
async def test_what_went_wrong_is_on_record(
    run: Callable[[ToolCall], Awaitable[Any]], code: str, error: str
) -> None:
    book = Book()
    tool = Tool("diary", "Looks.", run, timeout_s=0.01)

    answer = await belt(book, tool).run(tool, ToolRequest("1", "diary", {}))

    _, over = book.run
    assert (over.state, over.error_code) == ("failed", code)
    assert error in over.error
    assert over.answer == answer


async def test_a_run_that_is_cancelled_is_on_record_as_that() -> None:
    has_begun = asyncio.Event()

    async def begin(call: ToolCall) -> None:
        has_begun.set()
        await hang(call)

    book, tool = Book(), Tool("diary", "Hangs.", begin)
    running = asyncio.create_task(belt(book, tool).run(tool, ToolRequest("1", "diary", {})))
    await has_begun.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    _, over = book.run
    assert (over.state, over.error_code) == ("cancelled", "cancelled")


async def test_a_tool_that_hides_its_arguments_hides_them_here_too() -> None:
    async def take(_: ToolCall) -> str:
        return "thanks"

    book, tool = Book(), Tool("ask_number", "Asks.", take, hides_arguments=True)

    await belt(book, tool).run(tool, ToolRequest("1", "ask_number", {"number": "42"}))

    assert book.run[0].arguments == {}


PIN_SCHEMA = {"properties": {"geheim": {"type": "string", "writeOnly": True}}}


async def test_a_secret_that_the_answer_repeats_is_not_written_down() -> None:
    async def check(call: ToolCall) -> dict[str, Any]:
        return {"says": f"PIN {call.arguments['geheim']} is right.", "guests": 2}

    book, tool = Book(), Tool("check", "Checks.", check, PIN_SCHEMA)

    answer = await belt(book, tool).run(tool, ToolRequest("1", "check", {"geheim": "4711"}))

    assert answer["says"] == "PIN 4711 is right."
    assert book.run[0].arguments == {"geheim": "***"}
    assert book.run[1].answer == {"says": "PIN *** is right.", "guests": 2}


async def test_a_secret_that_an_error_repeats_is_told_to_nobody_but_the_model() -> None:
    async def check(call: ToolCall) -> object:
        raise ToolFailed(f"{call.arguments['geheim']} is wrong.")

    told: list[Event] = []
    book, tool = Book(), Tool("check", "Checks.", check, PIN_SCHEMA)
    checking = Toolbelt([tool], WrittenActions("turn_1"), told.append, book=book)

    answer = await checking.run(tool, ToolRequest("1", "check", {"geheim": "4711"}))

    assert answer == {"error": "4711 is wrong."}
    assert book.run[1].error == "*** is wrong."
    assert [each.error for each in told if isinstance(each, ToolEnded)] == ["*** is wrong."]


async def test_a_tool_that_hides_its_answer_hides_it_here() -> None:
    async def ask(_: ToolCall) -> dict[str, Any]:
        return {"digits": "4711", "spoken": "4 7 1 1"}

    book, tool = Book(), Tool("collect_pin", "Asks.", ask, hides_answer=True)

    await belt(book, tool).run(tool, ToolRequest("1", "collect_pin", {}))

    assert book.run[1].answer == "***"
