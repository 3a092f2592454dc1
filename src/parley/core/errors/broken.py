"""Errors of what we lean on: the database, the network, an engine, a tool."""

from __future__ import annotations

from parley.core.call import EndReason
from parley.core.errors.root import ParleyError


class StoreFailed(ParleyError):
    code = "store_failed"
    status = 503
    can_retry = True


class ConnectFailed(ParleyError):
    code = "connect_failed"
    status = 504
    can_retry = True


class CallNotTaken(ConnectFailed):
    """``reason`` is what the call ended with: busy, declined, no_answer, unknown, unreachable."""

    code = "call_not_taken"
    can_retry = False

    def __init__(self, message: str, *, reason: EndReason, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason: EndReason = reason


class EngineFailed(ParleyError):
    code = "engine_failed"
    status = 502
    can_retry = True


class EngineUnavailable(EngineFailed):
    code = "engine_unavailable"
    status = 503


class EngineBusy(EngineUnavailable):
    code = "engine_busy"


class ModelMissing(EngineUnavailable):
    """``model`` is the one to pull."""

    code = "model_missing"

    def __init__(self, message: str, *, model: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.model = model


class EngineTimeout(EngineFailed):
    code = "engine_timeout"
    status = 504


class ToolFailed(ParleyError):
    code = "tool_failed"
    status = 502
