"""Turns what networks and providers do into our errors: one sentence, and whether to wait."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import httpx

from parley.core.errors import (
    EngineFailed,
    EngineRefusedRequest,
    EngineTimeout,
    EngineUnavailable,
    ParleyError,
)
from parley.engines.remote.addresses import without_password

_LONGEST_MESSAGE = 300
_LATER = (408, 409, 425, 429, 500, 502, 503, 504, 529)
_NOT_OURS = (401, 402, 403)
# What reading an answer of the wrong shape raises.
_NONSENSE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
DEFAULT_RETRY_AFTER_S = 1


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
    except (httpx.ReadError, httpx.RemoteProtocolError) as error:
        raise EngineUnavailable(
            f"{engine} at {where} broke off its answer ({_why(error)})."
        ) from error
    except (OSError, httpx.TransportError) as error:
        raise EngineUnavailable(
            f"{engine} at {where} can't be reached ({_why(error)}).",
            hint=f"Start it, or correct its address ({where}).",
        ) from error
    except (*_NONSENSE, httpx.HTTPError) as error:
        raise EngineFailed(f"{engine} at {where} answered nonsense ({_why(error)}).") from error


def failure_of(engine: str, url: str, response: httpx.Response) -> ParleyError:
    """The error for an HTTP answer that is no success and whose body has been read."""
    return status_failure(
        engine, url, response.status_code, response.text, response.headers.get("retry-after", "")
    )


def status_failure(
    engine: str, url: str, status: int, body: str, retry_after: str = ""
) -> ParleyError:
    """The error for an HTTP status that is no success: whose fault it is, and whether to wait."""
    where, says = without_password(url), _message(body)
    told = f"{engine} at {where} answered {status}" + (f": {says}" if says else ".")
    if status in _NOT_OURS:
        return EngineUnavailable(told, hint=f"Check the key for {engine} and what it may do.")
    if status in _LATER:
        return EngineUnavailable(told, retry_after_s=_seconds(retry_after))
    if status < 400:
        return EngineFailed(told, hint=f"Correct its address ({where}): it leads elsewhere.")
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
