"""What HTTP routes answer, in the words of the OpenAPI document: errors, and schemas by type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

_JSON = "application/json"
STATUSES: Mapping[int, str] = {
    400: "Something in the request makes no sense; `param` names it.",
    401: "No key, or not a good one.",
    403: "The key has not the scope that this needs.",
    404: "There is no such thing here.",
    408: "The body stopped coming.",
    409: "It can't be done in the state that it is in.",
    413: "The body is too large.",
    415: "Nobody here can read that format.",
    429: "Too much in this minute (`rate_limit_exceeded`), or in this day or month "
    "(`insufficient_quota`).",
    500: "Something broke in here; the log has the details.",
    502: "An engine or a tool failed.",
    503: "Not now: all places are taken, the server is going down, or an engine can't be reached.",
    504: "An engine took too long, or a caller who was asked something.",
}
BODY_FAULTS = (400, 408, 413)
"""What every route answers that reads a body."""

ENGINE_FAULTS = (502, 503, 504)
"""What every route answers that asks an engine."""


class ErrorDetails(BaseModel):
    """What went wrong. ``message`` says what to do about it."""

    message: str = Field(examples=["There is no model 'gpt-9'."])
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(examples=["model"])
    code: str | None = Field(examples=["model_not_found"])


class ErrorAnswer(BaseModel):
    """Every error, in OpenAI's envelope."""

    error: ErrorDetails


def answers(
    *statuses: int, ok: type[BaseModel] | Mapping[str, Any] | None = None, status: int = 200
) -> dict[int | str, dict[str, Any]]:
    """FastAPI's ``responses`` for a route: the errors that it may answer, by status.

    ``ok`` is what it answers otherwise: a model for JSON, or schemas by content type. Not to be
    named are 401, 403 and 429 of guarded routes and the 500 of all.
    """
    told: dict[int | str, dict[str, Any]] = {
        each: {"model": ErrorAnswer, "description": STATUSES[each]} for each in statuses
    }
    if isinstance(ok, type):
        told[status] = {"model": ok, "description": _first_line(ok)}
    elif ok is not None:
        told[status] = {"content": {kind: {"schema": schema} for kind, schema in ok.items()}}
    return told


def sound(*content_types: str) -> dict[str, Any]:
    """Schemas by content type, for files of sound."""
    return {kind: {"type": "string", "format": "binary"} for kind in content_types}


def events(content_type: str = "text/event-stream") -> dict[str, Any]:
    """Schemas by content type, for server-sent events: the schema is that of one."""
    told = {
        "data": {"type": "string", "contentMediaType": _JSON},
        "event": {"type": "string"},
    }
    return {content_type: {"type": "object", "properties": told, "required": ["data"]}}


def text(*content_types: str) -> dict[str, Any]:
    """Schemas by content type, for text: plain, subtitles, SDP."""
    return {kind: {"type": "string"} for kind in content_types}


def one_of(*models: type[BaseModel]) -> dict[str, Any]:
    """The schema of JSON that has one of several forms."""
    schemas = [model.model_json_schema() for model in models]
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def body_of(
    content: Mapping[str, Any], *, is_required: bool = True, example: object = None
) -> dict[str, Any]:
    """FastAPI's ``openapi_extra`` for a route that reads its body by hand: schemas by type, and
    an example of the first."""
    told: dict[str, dict[str, Any]] = {kind: {"schema": each} for kind, each in content.items()}
    if example is not None:
        told[next(iter(told))]["example"] = example
    return {"requestBody": {"required": is_required, "content": told}}


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0] or "As asked."
