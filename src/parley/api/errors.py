"""Every error leaves as OpenAI's envelope with the right status."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from parley.core.errors import BadRequest, NotFound, ParleyError, envelope
from parley.core.log import get_logger

log = get_logger(__name__)


def install_error_handlers(app: FastAPI) -> None:
    """Answer ``ParleyError``, bad bodies, unknown paths and surprises alike."""
    app.add_exception_handler(ParleyError, _on_parley_error)
    app.add_exception_handler(RequestValidationError, _on_bad_body)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_surprise)


async def _on_parley_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ParleyError)
    log.info("request_refused", path=request.url.path, code=error.code, error=str(error))
    return _answer(error)


async def _on_bad_body(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return _answer(BadRequest(f"{where or 'The body'}: {first['msg']}.", param=where or None))


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        found = NotFound(f"There is nothing at {request.method} {request.url.path}.")
        return _answer(found)
    refused = BadRequest(str(error.detail))
    return JSONResponse(envelope(refused), error.status_code, headers=dict(error.headers or {}))


async def _on_surprise(request: Request, error: Exception) -> JSONResponse:
    log.error("request_broke", path=request.url.path, exc_info=error)
    return _answer(ParleyError("Something broke in here; the log has the details."))


def _answer(error: ParleyError) -> JSONResponse:
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    return JSONResponse(envelope(error), error.status, headers=headers)
