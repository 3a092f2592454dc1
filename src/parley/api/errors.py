"""Every error leaves as OpenAI's envelope with the right status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from parley.api.cors import cors_headers_of
from parley.api.request_id import HEADER as REQUEST_ID
from parley.api.request_id import request_id_of
from parley.api.unknown_sockets import answer_unknown_sockets
from parley.core.errors import (
    BadRequest,
    InvalidValue,
    MethodNotAllowed,
    MissingParameter,
    NotFound,
    ParleyError,
    TextTooLong,
    envelope,
    error_headers,
)
from parley.core.log import get_logger

log = get_logger(__name__)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_BEHIND_V1 = ("/audio/", "/chat/", "/models", "/responses", "/realtime", "/embeddings")


def install_error_handlers(app: FastAPI) -> None:
    """Answer ``ParleyError``, bad bodies, unknown paths and surprises alike."""
    app.add_exception_handler(ParleyError, _on_parley_error)
    app.add_exception_handler(RequestValidationError, _on_bad_body)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_surprise)
    answer_unknown_sockets(app)


async def _on_parley_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ParleyError)
    log.info("request_refused", path=request.url.path, code=error.code, error=str(error))
    return _answer(error)


async def _on_bad_body(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _answer(bad_field(error.errors()[0]))


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    asked = f"{request.method} {request.url.path}"
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND:
        hint = _where_instead(request)
        return _answer(NotFound(f"There is nothing at {asked}.", hint=hint), headers)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        takes = ", ".join(_methods_of(request))
        hint = f"It takes {takes}." if takes else ""
        refused = MethodNotAllowed(f"{asked} is not to be had.", hint=hint)
        return _answer(refused, {"allow": takes} if takes else {})
    refused = BadRequest(str(error.detail))
    return JSONResponse(envelope(refused), error.status_code, headers=headers)


async def _on_surprise(request: Request, error: Exception) -> JSONResponse:
    log.error("request_broke", path=request.url.path, exc_info=error)
    answer = _answer(ParleyError("Something broke in here; the log has the details."))
    # Starlette sends this one from outside of every middleware.
    if request_id := request_id_of(request):
        answer.headers[REQUEST_ID] = request_id
    answer.headers.update(cors_headers_of(request))
    return answer


def bad_field(details: Mapping[str, Any]) -> BadRequest:
    """The error for what pydantic says of one field of a body, a form or a query."""
    loc: Sequence[Any] = details["loc"]
    parts = [str(part) for part in loc if part not in ("body", "query", "path", "header")]
    kind = str(details["type"])
    if kind == "json_invalid":
        return BadRequest("The body is no valid JSON.", hint=_sentence(details))
    where = ".".join(parts)
    if kind == "missing":
        return MissingParameter(f"{where or 'The body'} is missing.", param=where or None)
    error_type = TextTooLong if kind == "string_too_long" else InvalidValue
    return error_type(f"{where or 'The body'}: {_sentence(details)}", param=where or None)


def _sentence(details: Mapping[str, Any]) -> str:
    if why := details.get("ctx", {}).get("error"):
        return f"{str(why).rstrip('.')}."
    return f"{str(details['msg']).removeprefix('Value error, ').rstrip('.')}."


def _methods_of(request: Request) -> list[str]:
    """What the path takes. Starlette tells of the first route alone that has it."""
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


def _where_instead(request: Request) -> str:
    """Whoever forgets /v1 in the base URL is told so."""
    if request.url.path.startswith(_BEHIND_V1):
        return f"Set the client's base URL to {request.base_url}v1."
    return ""


def _answer(error: ParleyError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    told = {**(headers or {}), **error_headers(error)}
    return JSONResponse(envelope(error), error.status, headers=told)
