"""What goes over the wire: names, events and faults in the protocol's own form."""

from __future__ import annotations

import secrets
from typing import Any

from parley.core.errors import (
    BadRequest,
    InvalidValue,
    MissingParameter,
    ParleyError,
    UnsupportedValue,
)

ServerEvent = dict[str, Any]


def new_id(kind: str) -> str:
    """``event_…``, ``sess_…``, ``resp_…``: unique, and telling what it names."""
    return f"{kind}_{secrets.token_hex(10)}"


def server_event(type: str, **fields: Any) -> ServerEvent:
    """An event as every client wants it: with a type and a name of its own."""
    return {"type": type, "event_id": new_id("event"), **fields}


class Fault(Exception):
    """A client event that can't be done. The session goes on; the client gets an ``error``."""

    def __init__(self, message: str, *, code: str = "invalid_value", param: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param


def as_bad_request(fault: Fault) -> BadRequest:
    """The same for an answer over HTTP."""
    known: dict[str, type[BadRequest]] = {
        kind.code: kind for kind in (InvalidValue, MissingParameter, UnsupportedValue)
    }
    return known.get(fault.code, BadRequest)(fault.message, param=fault.param or None)


def error_event(fault: Fault | ParleyError, event_id: str = "") -> ServerEvent:
    """``error``; ``event_id`` is the client event's that caused it."""
    type = "invalid_request_error" if isinstance(fault, Fault) else fault.type
    message = fault.message if isinstance(fault, Fault) else str(fault)
    error = {
        "type": type,
        "code": fault.code,
        "message": message,
        "param": fault.param or None,
        "event_id": event_id or None,
    }
    return server_event("error", error=error)
