"""What a client is told last of a session that it did not end itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from parley.core.call import EndReason
from parley.core.events import CallFailed
from parley.transports.realtime.wire import Fault, ServerEvent, error_event

_LAST_ERRORS: Mapping[EndReason, tuple[str, str]] = MappingProxyType(
    {
        "limit": ("session_expired", "The session has lasted as long as it may."),
        "quota": ("insufficient_quota", "The quota is used up."),
        "drain": ("server_draining", "The server is going down. Connect again."),
    }
)


def last_error(reason: EndReason, failure: CallFailed | None) -> ServerEvent | None:
    """The ``error`` that says why it is over; ``failure`` is what broke, if anything did."""
    if reason in _LAST_ERRORS:
        code, message = _LAST_ERRORS[reason]
        return error_event(Fault(message, code=code))
    if reason == "error" and failure is not None:
        return error_event(Fault(failure.message, code=failure.code))
    return None
