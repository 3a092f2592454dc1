"""A caller books through a service at a URL, asked by the receptionist's own script."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from parley.core.events import ToolEnded
from parley.engines.llm.scripted import ScriptedChatter, ScriptedOptions
from parley.tools.catalog import ToolCatalog
from tests.session.fakes import FakeHouse, LiveCall, agent_with, start_call
from tests.tools.webhook.desk import Desk, open_desk
from tests.tools.webhook_server import N8N_NEVER_RESPONDED, Answer, Received, good, says

MONDAY = datetime(2026, 3, 2, 10, 7)
PARAMETERS = {
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "day": {"type": "string", "format": "date"},
        "time": {"type": "string", "format": "time"},
    },
    "required": ["name", "day", "time"],
}
BOOKED = "That is booked, Ada"


class Practice:
    """Books each time once, and gives the same key the same answer."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self._answers: dict[str, Answer] = {}

    async def book(self, received: Received) -> Answer:
        sent = received.json
        slot = f"{sent['args']['day']} {sent['args']['time']}"
        if slot in self.rows:
            taken = {"code": "taken", "message": "I am sorry, that time is taken."}
            answer = says({"ok": False, "error": taken})
        else:
            answer = good({"slot": slot})
        if sent["idempotency_key"] not in self._answers:
            self.rows.setdefault(slot, sent["args"]["name"])
        return self._answers.setdefault(sent["idempotency_key"], answer)


@asynccontextmanager
async def booking(house: FakeHouse, **options: Any) -> AsyncGenerator[tuple[Desk, LiveCall, Any]]:
    async with open_desk() as desk:
        wish = {
            "name": "book_appointment",
            "description": "Books.",
            "url": f"{desk.server.url}/book",
            "parameters": PARAMETERS,
            "changes": True,
            **options,
        }
        house.agents = [agent_with(greeting="")]
        house.tools = ToolCatalog(house=desk.house).tools_for([{"webhook": wish}])
        house.llm = ScriptedChatter(ScriptedOptions(), clock=lambda: MONDAY)  # pyright: ignore
        async with house.host() as host:
            call = start_call(host)
            await call.until("media_started")
            yield desk, call, host


async def asks(call: LiveCall, text: str) -> str:
    """What the agent says to it."""
    turns = call.names().count("turn_ended")
    await call.control.ask(text)
    await call.until("turn_ended", count=turns + 1)
    return "".join(event.text for event in call.transport.events if event.name == "agent_text")


async def books(call: LiveCall) -> str:
    await asks(call, "book an appointment on tuesday at ten")
    await asks(call, "my name is Ada")
    return await asks(call, "yes")


async def test_a_caller_books_through_a_service_and_the_next_is_refused_the_time(house: FakeHouse):
    async with booking(house) as (desk, call, host):
        practice = Practice()
        desk.server.answers = [Answer(before=practice.book)]

        first = await books(call)
        second_call = start_call(host)
        await second_call.until("media_started")
        second = await books(second_call)

        assert practice.rows == {"2026-03-03 10:00": "Ada"}
    assert BOOKED in first
    assert BOOKED not in second and "that time is taken" in second


async def test_a_service_that_is_asked_twice_books_once(house: FakeHouse):
    async with booking(house) as (desk, call, _):
        practice = Practice()

        async def book_and_break(received: Received) -> Answer:
            await practice.book(received)
            return Answer(503, b"{}")

        desk.server.answers = [Answer(before=book_and_break), Answer(before=practice.book)]
        said = await books(call)

        one, two = desk.server.received
        assert one.headers["idempotency-key"] == two.headers["idempotency-key"]
        assert practice.rows == {"2026-03-03 10:00": "Ada"}
    assert BOOKED in said


async def test_an_answer_that_comes_later_reaches_the_caller(house: FakeHouse):
    async with booking(house) as (desk, call, _):
        runs = desk.house.runs
        delivered: list[str] = []

        async def answer_by_message(received: Received) -> None:
            run_id = received.json["run_id"]
            delivered.append(await runs.answer(run_id, {"ok": True, "result": {"booked": True}}))

        pending = json.dumps({"ok": True, "pending": True}).encode()
        desk.server.answers = [Answer(202, pending, before=answer_by_message)]
        said = await books(call)

    assert delivered == ["call"]
    assert BOOKED in said


async def test_a_broken_service_is_told_in_a_sentence_and_the_call_goes_on(house: FakeHouse):
    async with booking(house) as (desk, call, _):
        desk.server.answers = [N8N_NEVER_RESPONDED]

        said = await books(call)
        ended = await call.until("tool_ended")
        later = await asks(call, "never mind, what are your opening hours")

    sentence = "The service for book appointment gave no answer."
    assert isinstance(ended, ToolEnded) and ended.error.startswith(sentence)
    assert sentence in said
    assert "nine to five" in later
