"""Turns what networks and providers do into our errors: one sentence, and whether to wait."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import httpx

from parley.core.errors import (
    BadRequest,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    ParleyError,
)
from parley.engines.remote.addresses import without_password

_LONGEST_MESSAGE = 300
_LATER = (408, 409, 425, 429, 500, 502, 503, 504, 529)
_NOT_OURS = (401, 402, 403)
DEFAULT_RETRY_AFTER_S = 1


class EngineRefusedRequest(BadRequest):
    """The engine says that the request itself is wrong; asking again changes nothing."""

    code = "engine_refused_request"


class ModelMissing(EngineUnavailable):
    """The engine answers, but has no such model; ``model`` is the one to pull."""

    code = "model_missing"

    def __init__(self, message: str, *, model: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.model = model


@contextmanager
def told_plainly(engine: str, url: str) -> Generator[None]:
    """Raises our errors for what httpx, websockets, sockets and JSON raise inside.

    ``EngineTimeout`` for slowness, ``EngineUnavailable`` for what can't be reached,
    ``EngineFailed`` for nonsense. Our own errors pass.
    """
    where = without_password(url)
    try:
        yield
    except ParleyError:
        raise
    except (TimeoutError, httpx.TimeoutException) as error:
        raise EngineTimeout(f"{engine} at {where} took too long to answer.") from error
    except (OSError, httpx.TransportError) as error:
        raise EngineUnavailable(
            f"{engine} at {where} can't be reached ({_why(error)}).",
            hint=f"Start it, or correct its address ({where}).",
        ) from error
    except (ValueError, KeyError, TypeError, httpx.HTTPError) as error:
        raise EngineFailed(f"{engine} at {where} answered nonsense ({_why(error)}).") from error


def failure_of(engine: str, url: str, response: httpx.Response) -> ParleyError:
    """The error for an HTTP answer of 400 or more whose body has been read."""
    return status_failure(
        engine, url, response.status_code, response.text, response.headers.get("retry-after", "")
    )


def status_failure(
    engine: str, url: str, status: int, body: str, retry_after: str = ""
) -> ParleyError:
    """The error for an HTTP status of 400 or more: whose fault it is, and whether to wait."""
    where, says = without_password(url), _message(body)
    told = f"{engine} at {where} answered {status}" + (f": {says}" if says else ".")
    if status in _NOT_OURS:
        return EngineUnavailable(told, hint=f"Check the key for {engine} and what it may do.")
    if status in _LATER:
        return EngineUnavailable(told, retry_after_s=_seconds(retry_after))
    if status == 404 or status >= 500:
        return EngineFailed(told)
    return EngineRefusedRequest(told)


def _message(body: str) -> str:
    try:
        data: Any = json.loads(body)
    except ValueError:
        data = body
    for key in ("error", "message", "detail", "err_msg"):
        if isinstance(data, dict) and key in data:
            data = cast("dict[str, Any]", data)[key]
    return " ".join(str(cast(object, data)).split())[:_LONGEST_MESSAGE]


def _seconds(retry_after: str) -> int:
    return min(int(retry_after), 3600) if retry_after.isdigit() else DEFAULT_RETRY_AFTER_S


def _why(error: Exception) -> str:
    says = " ".join(str(error).split())[:_LONGEST_MESSAGE]
    return says or type(error).__name__
