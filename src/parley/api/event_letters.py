"""What a webhook is sent of an event."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from parley.core.call import CallInfo
from parley.core.events import CallStarted, Event, event_name, event_types

VERSION = 1
EVENTS = tuple(event_name(each) for each in event_types())
"""Everything that can be asked for."""

USUAL_EVENTS = ("call_started", "turn_ended", "tool_ended", "call_ended")
_ENVELOPE = frozenset({"event", "call_id", "at_s"})
_CALL = ("transport", "direction", "caller", "callee", "started_at")


@dataclass(frozen=True, slots=True)
class Letter:
    """One event, written: every attempt brings the same bytes."""

    id: str
    event: str
    body: bytes


def letter_of(event: Event, call: CallInfo) -> Letter:
    letter_id = f"evt_{secrets.token_hex(12)}"
    at = datetime.now(UTC) - timedelta(seconds=time.monotonic() - event.at_s)
    envelope: dict[str, Any] = {
        "version": VERSION,
        "id": letter_id,
        "event": event.name,
        "call_id": event.call_id,
        "tenant": call.tenant,
        "agent": call.agent,
        "at": at.isoformat(timespec="milliseconds"),
        "data": _data(event),
    }
    body = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"), default=str)
    return Letter(letter_id, event.name, body.encode(errors="replace"))


def _data(event: Event) -> dict[str, Any]:
    told = {key: value for key, value in event.to_dict().items() if key not in _ENVELOPE}
    if isinstance(event, CallStarted):
        return {key: told["call"][key] for key in _CALL}
    return told
