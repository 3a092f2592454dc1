"""Callers make appointments by speaking, and n8n keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.n8n.instance import N8n
from tests.n8n.parley import conversation, parley_with

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]


async def rows_of(n8n: N8n, person: str) -> list[tuple[str, str]]:
    rows: list[dict[str, Any]] = await n8n.rows()
    return [(row["slot"][11:16], row["state"]) for row in rows if row["person"] == person]


async def test_a_spoken_call_books_the_next_is_refused_a_third_moves_and_cancels(
    n8n: N8n, tmp_path: Path
) -> None:
    async with parley_with(n8n, tmp_path) as server:
        async with conversation(server) as first:
            await first.greeted()
            await first.say("can i book an appointment", until="?")
            await first.say("tuesday", until="time")
            await first.say("half past ten", until="name")
            await first.say("my name is anna", until="book")
            await first.say("yes", until="booked")
        async with conversation(server) as second:
            await second.greeted()
            await second.say("can i book an appointment", until="?")
            await second.say("tuesday", until="time")
            await second.say("half past ten", until="name")
            await second.say("my name is peter", "my name is david", until="book")
            await second.say("yes", until="taken")
        booked = await rows_of(n8n, "anna")
        async with conversation(server) as third:
            await third.greeted()
            await third.say("i want to move my appointment", until="name")
            await third.say("my name is anna", until="move it to")
            await third.say("wednesday", until="time")
            await third.say("half past ten", until="shall i move")
            await third.say("yes", until="done")
            await third.say("i want to cancel my appointment", until="cancel")
            await third.say("yes", until="cancelled")

    assert first.tools() == [("book_appointment", "")]
    assert [name for name, _ in second.tools()] == ["book_appointment"]
    assert "taken" in second.tools()[0][1]
    assert [state for _, state in booked] == ["booked"]
    assert sorted(state for _, state in await rows_of(n8n, "anna")) == ["cancelled", "moved"]
    assert [error for _, error in third.tools()] == ["", "", "", ""]
