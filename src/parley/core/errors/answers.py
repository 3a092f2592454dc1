"""How an error leaves over HTTP: OpenAI's envelope, and the headers around it."""

from __future__ import annotations

from typing import Any

from parley.core.errors.root import ParleyError


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
