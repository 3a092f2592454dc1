"""Errors of the moment: what was asked is understood, but not now."""

from __future__ import annotations

from types import MappingProxyType

from parley.core.errors.root import ParleyError


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


class NotReady(Refused):
    code = "not_ready"
    default_hint = "Try again in a while; /health tells how far the download has come."


class NoRoom(Refused):
    code = "server_overloaded"
    default_hint = "Try again in a moment."


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
