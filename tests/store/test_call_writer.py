"""What is kept of a call is what was said and heard in it."""

from __future__ import annotations

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
from parley.store.call_writer import CallWriter
from parley.store.opening import Store

CALL = CallInfo(agent="receptionist", transport="webrtc", tenant="acme", id="call_1")
STAGES = {"llm_ms": 120.5, "reply_ms": 640.0}


async def test_a_call_is_kept_as_it_was_heard(store: Store) -> None:
    async with Bus() as bus:
        bus.subscribe("store", CallWriter(store.calls).listen)
        for event in (
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
        ):
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
