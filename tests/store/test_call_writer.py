"""What is kept of a call is what was said and heard in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from parley.core.bus import Bus
from parley.core.call import CallInfo
from parley.core.events import (
    AgentText,
    CallEnded,
    CallStarted,
    ToolEnded,
    ToolRefused,
    TurnEnded,
    UserTranscript,
)
from parley.store import call_writer
from parley.store.call_journal import CallEntry, CallJournal
from parley.store.call_writer import CallWriter
from parley.store.opening import Store
from parley.store.records import ToolUseRecord

CALL = CallInfo(agent="receptionist", transport="webrtc", tenant="acme", id="call_1")
STAGES = {"llm_ms": 120.5, "reply_ms": 640.0}
EVENTS = (
    CallStarted(call_id="call_1", call=CALL),
    AgentText(call_id="call_1", text="Hello, "),
    AgentText(call_id="call_1", text="this is Parley."),
    UserTranscript(call_id="call_1", text="When do", final=False),
    UserTranscript(call_id="call_1", text="When do you open?", final=True),
    AgentText(call_id="call_1", text="At nine on weekdays."),
    TurnEnded(call_id="call_1", stages=STAGES, interrupted=True, heard="At nine"),
    ToolEnded(call_id="call_1", tool="book", tool_call_id="1", after_ms=12.4),
    ToolEnded(call_id="call_1", tool="clock", tool_call_id="2", after_ms=0, error="Broke."),
    ToolRefused(call_id="call_1", tool="book", tool_call_id="3", reason="declined"),
    UserTranscript(call_id="call_1", text="Bye.", final=True),
    AgentText(call_id="call_1", text="Goodbye!"),
    CallEnded(call_id="call_1", reason="caller", duration_s=9.0),
)


async def test_a_call_is_kept_as_it_was_heard(store: Store, tmp_path: Path) -> None:
    async with CallJournal(store.calls, tmp_path) as journal, Bus() as bus:
        bus.subscribe("store", CallWriter(journal.note).listen)
        for event in EVENTS:
            bus.publish(event)

    turns = await store.calls.turns("acme", "call_1")
    uses = await store.calls.tool_uses("acme", "call_1")
    call = await store.calls.get("acme", "call_1")

    assert [(turn.role, turn.text) for turn in turns] == [
        ("agent", "Hello, this is Parley."),
        ("user", "When do you open?"),
        ("agent", "At nine"),
        ("user", "Bye."),
        ("agent", "Goodbye!"),
    ]
    assert [(turn.stages, turn.interrupted) for turn in turns[1:3]] == [({}, False), (STAGES, True)]
    assert [(use.tool, use.after_ms, use.error) for use in uses] == [
        ("book", 12, ""),
        ("clock", 0, "Broke."),
        ("book", 0, "refused: declined"),
    ]
    assert await store.calls.tool_uses("other", "call_1") == []
    assert call is not None
    assert (call.agent, call.reason, call.ended_at is not None) == ("receptionist", "caller", True)


async def test_what_is_said_is_kept_as_every_database_takes_it(
    store: Store, tmp_path: Path
) -> None:
    async with CallJournal(store.calls, tmp_path) as journal:
        writer = CallWriter(journal.note)
        await writer.listen(EVENTS[0])
        await writer.listen(UserTranscript(call_id="call_1", text="A\0da \ud800", final=True))
        await writer.listen(EVENTS[-1])

    (turn,) = await store.calls.turns("acme", "call_1")
    assert turn.text == "Ada ?"


async def test_no_two_entries_have_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime(2026, 11, 21, tzinfo=UTC)

    monkeypatch.setattr(call_writer, "datetime", Stopped)
    noted: list[CallEntry] = []
    writer = CallWriter(noted.append)

    for _ in range(3):
        await writer.listen(EVENTS[7])

    times = [use.ended_at for use in noted if isinstance(use, ToolUseRecord)]
    assert len(set(times)) == 3 and times == sorted(times)
