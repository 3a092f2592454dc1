"""Listens to the bus and writes down each call and what was said in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from parley.core.events import (
    AgentText,
    CallEnded,
    CallStarted,
    Event,
    ToolEnded,
    ToolRefused,
    TurnEnded,
    UserTranscript,
)
from parley.store.records import CallRecord, ToolUseRecord, TurnRecord

if TYPE_CHECKING:
    from parley.store.calls import Calls

LONGEST_TOOL_NAME = 200


class CallWriter:
    """One for all calls: ``bus.subscribe("store", CallWriter(store.calls).listen)``.

    Of a reply that was interrupted only what was heard is kept.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._replies: dict[str, str] = {}

    async def listen(self, event: Event) -> None:
        match event:
            case CallStarted():
                await self._calls.began(CallRecord.of(event.call))
            case AgentText():
                said = self._replies.get(event.call_id, "")
                self._replies[event.call_id] = said + event.text
            case UserTranscript(final=True, text=text) if text.strip():
                await self._flush(event.call_id)
                await self._calls.said(TurnRecord(event.call_id, "user", text, _now()))
            case TurnEnded():
                whole = self._replies.pop(event.call_id, "")
                self._replies[event.call_id] = event.heard if event.interrupted else whole
                await self._flush(event.call_id, event.stages, event.interrupted)
            case ToolEnded():
                await self._calls.used(_use(event))
            case ToolRefused():
                await self._calls.used(_refusal(event))
            case CallEnded():
                await self._flush(event.call_id)
                await self._calls.ended(event.call_id, event.reason, _now())
            case _:
                pass

    async def _flush(
        self, call_id: str, stages: Mapping[str, float] | None = None, interrupted: bool = False
    ) -> None:
        """Keep what the agent has said since the last time: a greeting, or a reply."""
        said = self._replies.pop(call_id, "").strip()
        if said:
            turn = TurnRecord(call_id, "agent", said, _now(), dict(stages or {}), interrupted)
            await self._calls.said(turn)


def _use(event: ToolEnded) -> ToolUseRecord:
    tool = event.tool[:LONGEST_TOOL_NAME]
    return ToolUseRecord(event.call_id, tool, round(event.after_ms), event.error, _now())


def _refusal(event: ToolRefused) -> ToolUseRecord:
    tool = event.tool[:LONGEST_TOOL_NAME]
    return ToolUseRecord(event.call_id, tool, 0, f"refused: {event.reason}", _now())


def _now() -> datetime:
    return datetime.now(UTC)
