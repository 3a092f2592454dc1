"""Short-lived secrets that a server hands to its browsers, so that they never see its key."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from parley.access.caller import SECRET_SCOPES, Caller
from parley.access.keys import digest, new_token
from parley.access.ring import utc_now
from parley.core.errors import BadRequest, Forbidden, RateLimited

SECRET_PREFIX = "ek_"
LEAST_S, DEFAULT_S, MOST_S = 10, 600, 7200
MOST_PER_BUDGET = 10_000


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """Good for any number of sessions until it expires; sessions outlive it.

    ``caller`` has the tenant, the key and the limits of whoever asked for it, and ``session`` the
    configuration that its sessions begin with.
    """

    value: str
    expires_at: datetime
    caller: Caller


class ClientSecrets:
    """The secrets of this process: a restart ends them all."""

    def __init__(self, *, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._secrets: dict[str, ClientSecret] = {}
        self._counts: dict[str, int] = {}

    def issue(
        self, asker: Caller, session: Mapping[str, Any], *, lifetime_s: int = DEFAULT_S
    ) -> ClientSecret:
        """Make a secret that may do no more than its asker."""
        if not LEAST_S <= lifetime_s <= MOST_S:
            raise BadRequest(
                f"A client secret lives {LEAST_S} to {MOST_S} seconds, not {lifetime_s}.",
                param="expires_after.seconds",
            )
        if asker.session is not None:
            raise Forbidden("A client secret makes no others.", hint="Ask with the key itself.")
        now, value = self._now(), new_token(SECRET_PREFIX)
        self._forget_expired(now)
        if self._counts.get(asker.budget, 0) >= MOST_PER_BUDGET:
            raise RateLimited("Too many client secrets are alive.", retry_after_s=self._wait_s())
        caller = Caller(
            tenant=asker.tenant,
            key_id=asker.key_id,
            scopes=asker.scopes & SECRET_SCOPES,
            address=asker.address,
            session=dict(session),
            secret=digest(value),
            limits=asker.limits,
        )
        secret = ClientSecret(value, now + timedelta(seconds=lifetime_s), caller)
        self._secrets[caller.secret] = secret
        self._counts[asker.budget] = self._counts.get(asker.budget, 0) + 1
        return secret

    def find(self, token: str) -> ClientSecret | None:
        """The secret, if it is good now. Looked up by its hash: time tells nothing of it."""
        secret = self._secrets.get(digest(token))
        return secret if secret and self._now() < secret.expires_at else None

    def _forget_expired(self, now: datetime) -> None:
        for key in [key for key, secret in self._secrets.items() if secret.expires_at <= now]:
            budget = self._secrets.pop(key).caller.budget
            self._counts[budget] -= 1
            if not self._counts[budget]:
                del self._counts[budget]

    def _wait_s(self) -> int:
        first = min(secret.expires_at for secret in self._secrets.values())
        return max(1, math.ceil((first - self._now()).total_seconds()))
