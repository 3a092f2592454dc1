"""Listens to the bus and writes down each call and what was said in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
from parley.store.call_journal import CallEntry
from parley.store.records import CallEnd, CallRecord, ToolUseRecord, TurnRecord

LONGEST_TOOL_NAME = 200
_MICROSECOND = timedelta(microseconds=1)
_CLOCK_IS_SET_BY = timedelta(seconds=1)


class CallWriter:
    """One for all calls: ``bus.subscribe("store", CallWriter(call_journal.note).listen)``.

    Of a reply that was interrupted only what was heard is kept.
    """

    def __init__(self, note: Callable[[CallEntry], None]) -> None:
        self._note = note
        self._replies: dict[str, str] = {}
        self._last_at = datetime.min.replace(tzinfo=UTC)

    async def listen(self, event: Event) -> None:
        match event:
            case CallStarted():
                self._note(_begun(event))
            case AgentText():
                said = self._replies.get(event.call_id, "")
                self._replies[event.call_id] = said + event.text
            case UserTranscript(final=True, text=text) if text.strip():
                self._flush(event.call_id)
                self._note(TurnRecord(event.call_id, "user", _plain(text), self._now()))
            case TurnEnded():
                whole = self._replies.pop(event.call_id, "")
                self._replies[event.call_id] = event.heard if event.interrupted else whole
                self._flush(event.call_id, event.stages, event.interrupted)
            case ToolEnded():
                self._note(self._use(event, event.after_ms, event.error))
            case ToolRefused():
                self._note(self._use(event, 0, f"refused: {event.reason}"))
            case CallEnded():
                self._flush(event.call_id)
                self._note(CallEnd(event.call_id, event.reason, self._now()))
            case _:
                pass

    def _flush(
        self, call_id: str, stages: Mapping[str, float] | None = None, interrupted: bool = False
    ) -> None:
        """Keep what the agent has said since the last time: a greeting, or a reply."""
        said = _plain(self._replies.pop(call_id, "")).strip()
        if said:
            stages = dict(stages or {})
            self._note(TurnRecord(call_id, "agent", said, self._now(), stages, interrupted))

    def _use(self, event: ToolEnded | ToolRefused, after_ms: float, error: str) -> ToolUseRecord:
        tool = _plain(event.tool)[:LONGEST_TOOL_NAME]
        return ToolUseRecord(event.call_id, tool, round(after_ms), _plain(error), self._now())

    def _now(self) -> datetime:
        """No two have the same: by it is known what was written before."""
        now = datetime.now(UTC)
        stands_still = now <= self._last_at < now + _CLOCK_IS_SET_BY
        self._last_at = self._last_at + _MICROSECOND if stands_still else now
        return self._last_at


def _begun(event: CallStarted) -> CallRecord:
    call = CallRecord.of(event.call)
    return replace(call, caller=_plain(call.caller), callee=_plain(call.callee))


def _plain(text: str) -> str:
    """As every database takes it."""
    return text.replace("\0", "").encode(errors="replace").decode()
