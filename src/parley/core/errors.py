"""The error tree.

    ParleyError
    ├── BadRequest              what was asked makes no sense as it stands
    │   ├── BadSettings         a setting, a flag or an environment variable
    │   ├── BadAgent            an agent's YAML file
    │   ├── BadScript           a dialogue script
    │   ├── BadOffer            an SDP offer or an ICE candidate
    │   └── BadAudio            audio that can't be read
    ├── NotFound                no such agent, voice, peer …
    ├── NotSupported            this transport or engine can't do that
    ├── Refused                 understood, but not now
    │   ├── CallLimitReached    all places are taken
    │   └── Draining            the server is going down
    ├── ConnectFailed           sound never began to flow
    └── EngineFailed            an engine broke
        ├── EngineUnavailable   … because it can't be reached or isn't installed
        └── EngineTimeout       … because it took too long
    ToolFailed                  (also a ParleyError) a tool broke

Each class has a stable ``code``, an HTTP ``status``, the ``type`` of OpenAI's error envelope,
whether trying again can help, and a ``hint`` that says what to do.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ParleyError(Exception):
    """Root of everything that Parley raises on purpose."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    can_retry: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(
        self, message: str, *, hint: str = "", param: str | None = None, retry_after_s: int = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.param = param
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadRequest(ParleyError):
    code = "bad_request"
    status = 400
    type = "invalid_request_error"


class BadSettings(BadRequest):
    code = "bad_settings"


class BadAgent(BadRequest):
    code = "bad_agent"


class BadScript(BadRequest):
    code = "bad_script"


class BadOffer(BadRequest):
    code = "bad_offer"


class BadAudio(BadRequest):
    code = "bad_audio"


class NotFound(ParleyError):
    code = "not_found"
    status = 404
    type = "invalid_request_error"


class NotSupported(ParleyError):
    code = "not_supported"
    status = 400
    type = "invalid_request_error"


class Refused(ParleyError):
    code = "refused"
    status = 503
    can_retry = True


class CallLimitReached(Refused):
    code = "call_limit_reached"
    default_hint = "Try again when a call has ended, or raise PARLEY_MAX_CALLS."


class Draining(Refused):
    code = "draining"
    default_hint = "This server is going down; try again in a moment or call another one."


class ConnectFailed(ParleyError):
    code = "connect_failed"
    status = 504
    can_retry = True


class EngineFailed(ParleyError):
    code = "engine_failed"
    status = 502
    can_retry = True


class EngineUnavailable(EngineFailed):
    code = "engine_unavailable"
    status = 503


class EngineTimeout(EngineFailed):
    code = "engine_timeout"
    status = 504


class ToolFailed(ParleyError):
    code = "tool_failed"
    status = 502


def envelope(error: ParleyError) -> dict[str, Any]:
    """The error as OpenAI's clients expect it: ``{"error": {message, type, param, code}}``."""
    return {
        "error": {
            "message": str(error),
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


def error_types() -> list[type[ParleyError]]:
    """Every error class there is, root first."""
    found: list[type[ParleyError]] = []
    queue: list[type[ParleyError]] = [ParleyError]
    while queue:
        error_type = queue.pop(0)
        found.append(error_type)
        queue.extend(error_type.__subclasses__())
    return found
