"""The error tree.

    ParleyError
    ├── BadRequest              what was asked makes no sense as it stands
    │   ├── BadSettings         a setting, a flag or an environment variable
    │   ├── BadAgent            an agent's YAML file
    │   ├── BadScript           a dialogue script
    │   ├── BadOffer            an SDP offer or an ICE candidate
    │   │   └── IncompatibleOffer … that can be read, and has nothing that we can do too
    │   ├── BadAudio            audio that can't be read
    │   │   ├── AudioTooLong    … for it lasts longer than is allowed
    │   │   └── UnsupportedMedia … for nobody here knows its format
    │   ├── MissingParameter    something that must be there is not
    │   ├── InvalidValue        a value that makes no sense
    │   ├── UnsupportedValue    a value that makes sense, but not here
    │   ├── TextTooLong         more characters than are allowed
    │   ├── TooLarge            more bytes than are allowed
    │   ├── UploadStalled       a body that stopped coming
    │   ├── MethodNotAllowed    the path is right, the verb is not
    │   ├── EngineRefusedRequest  an engine says so; asking it again changes nothing
    │   └── ResponseNotFound    a response to carry on from that isn't kept
    ├── Unauthorized            who is asking is not known: no key, or not a good one
    ├── Forbidden               who is asking is known and may not do this
    ├── NotFound                no such agent, voice, peer …
    │   ├── ModelNotFound       an API was asked for a model that nobody here has
    │   └── NoSuchCall          a Realtime call that is over, or somebody else's
    ├── NotSupported            this transport or engine can't do that
    ├── CallNotLive             a call that is over, or held by another server
    ├── QuestionPending         the caller has been asked something already
    ├── NoAnswer                the caller was asked and said nothing in time
    ├── Refused                 understood, but not now
    │   ├── CallLimitReached    all places are taken
    │   ├── Draining            the server is going down
    │   ├── NotReady            the agent still waits for a model
    │   ├── RateLimited         too much in this minute
    │   └── QuotaExceeded       too much in this day or month
    ├── StoreFailed             the database can't be used
    ├── ConnectFailed           sound never began to flow
    └── EngineFailed            an engine broke
        ├── EngineUnavailable   … because it can't be reached or isn't installed
        │   ├── EngineBusy      … because too many requests wait for it already
        │   └── ModelMissing    … because the model that it was asked for isn't there
        └── EngineTimeout       … because it took too long
    ToolFailed                  (also a ParleyError) a tool broke

Each class has a stable ``code``, an HTTP ``status``, the ``type`` of OpenAI's error envelope,
whether trying again can help, and a ``hint`` that says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar


class ParleyError(Exception):
    """Root of everything that Parley raises on purpose."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    can_retry: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""
    headers: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What an HTTP answer with this error says besides."""

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


class IncompatibleOffer(BadOffer):
    code = "incompatible_offer"


class BadAudio(BadRequest):
    code = "bad_audio"


class AudioTooLong(BadAudio):
    code = "audio_too_long"


class UnsupportedMedia(BadAudio):
    code = "unsupported_media"
    status = 415
    default_hint = "Send flac, mp3, mp4, m4a, ogg, wav or webm."


class MissingParameter(BadRequest):
    code = "missing_required_parameter"


class InvalidValue(BadRequest):
    code = "invalid_value"


class UnsupportedValue(BadRequest):
    code = "unsupported_value"


class TextTooLong(BadRequest):
    code = "string_above_max_length"


class TooLarge(BadRequest):
    code = "request_too_large"
    status = 413


class UploadStalled(BadRequest):
    code = "upload_stalled"
    status = 408
    can_retry = True


class MethodNotAllowed(BadRequest):
    code = "method_not_allowed"
    status = 405


class Unauthorized(ParleyError):
    code = "invalid_api_key"
    status = 401
    type = "invalid_request_error"
    default_hint = "Send a key as Authorization: Bearer pk_…; parley keys create makes one."
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})


class Forbidden(ParleyError):
    code = "permission_denied"
    status = 403
    type = "invalid_request_error"


class ResponseNotFound(BadRequest):
    code = "previous_response_not_found"


class EngineRefusedRequest(BadRequest):
    code = "engine_refused_request"


class NotFound(ParleyError):
    code = "not_found"
    status = 404
    type = "invalid_request_error"


class ModelNotFound(NotFound):
    code = "model_not_found"


class NoSuchCall(NotFound):
    code = "call_id_not_found"


class NotSupported(ParleyError):
    code = "not_supported"
    status = 400
    type = "invalid_request_error"


class CallNotLive(ParleyError):
    code = "call_not_live"
    status = 409
    type = "invalid_request_error"


class QuestionPending(ParleyError):
    code = "question_pending"
    status = 409
    type = "invalid_request_error"


class NoAnswer(ParleyError):
    # Not 408: browsers send such a request again by themselves, and the question with it.
    code = "no_answer"
    status = 504


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


class RateLimited(Refused):
    code = "rate_limit_exceeded"
    status = 429
    type = "rate_limit_exceeded"


class QuotaExceeded(Refused):
    code = "insufficient_quota"
    status = 429
    type = "insufficient_quota"
    can_retry = False
    headers = MappingProxyType({"x-should-retry": "false"})


class StoreFailed(ParleyError):
    code = "store_failed"
    status = 503
    can_retry = True


class NotReady(Refused):
    code = "not_ready"
    default_hint = "Try again in a while; /health tells how far the download has come."


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


class ModelMissing(EngineUnavailable):
    """``model`` is the one to pull."""

    code = "model_missing"

    def __init__(self, message: str, *, model: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.model = model


class EngineBusy(EngineUnavailable):
    code = "engine_busy"


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


def error_headers(error: ParleyError) -> dict[str, str]:
    """What the HTTP answer with this error says in its headers."""
    headers = dict(error.headers)
    if error.retry_after_s:
        headers["Retry-After"] = str(error.retry_after_s)
    if not error.can_retry and _is_retried_unasked(error.status):
        headers["x-should-retry"] = "false"
    return headers


def _is_retried_unasked(status: int) -> bool:
    """Whether OpenAI's clients send the request again unless they are told not to."""
    return status in (408, 409, 429) or status >= 500


def error_types() -> list[type[ParleyError]]:
    """Every error class there is, root first."""
    found: list[type[ParleyError]] = []
    queue: list[type[ParleyError]] = [ParleyError]
    while queue:
        error_type = queue.pop(0)
        found.append(error_type)
        queue.extend(error_type.__subclasses__())
    return found
