"""The door: turns what a request shows into a caller, or into 401, 403 or 429."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from parley.access.bad_keys import BadKeys
from parley.access.caller import CLOSED_SCOPES, OPEN_SCOPES, Caller, MinuteLimits, Scope
from parley.access.client_secrets import SECRET_PREFIX, ClientSecrets
from parley.access.credentials import Credentials, credentials_of
from parley.access.headers import note_standings
from parley.access.rates import Rates
from parley.access.ring import KeyRing
from parley.core.errors import Forbidden, RateLimited, Unauthorized
from parley.core.log import get_logger
from parley.store.records import KeyRecord

log = get_logger(__name__)

SCHEME_NAME = "key"
"""What the OpenAPI document calls it when a key is shown."""

_CALLER = "caller"


@dataclass(frozen=True, slots=True)
class DoorRules:
    """Whom the house lets in without a key while none was ever made.

    ``opens_locally``: callers of this machine, because the listener is on loopback.
    ``opens_to_all``: everybody, because PARLEY_ALLOW_ANONYMOUS says so. ``origins``: sites whose
    pages may call from a browser on this machine.
    """

    opens_locally: bool
    opens_to_all: bool = False
    origins: tuple[str, ...] = ()
    limits: MinuteLimits = field(default_factory=MinuteLimits)


class Guard:
    """Knows who is asking."""

    def __init__(
        self, ring: KeyRing, secrets: ClientSecrets, rates: Rates, rules: DoorRules
    ) -> None:
        self._ring = ring
        self._secrets = secrets
        self._rates = rates
        self._rules = rules
        self._bad_keys = BadKeys()

    async def admit(self, credentials: Credentials, *scopes: Scope) -> Caller:
        """Who that is. Raises ``Unauthorized``, ``Forbidden`` or ``RateLimited``."""
        await self._ring.freshen(credentials.token)
        caller = self._identify(credentials)
        for scope in scopes:
            if not caller.may(scope):
                raise self._refusal(scope)
        return caller

    def require(self, *scopes: Scope, offer: bool = False, query: str = "") -> Require:
        """A FastAPI dependency that gives the ``Caller``, for HTTP and WebSocket routes alike.

        ``offer`` counts with the tries to begin a call instead of with the requests; ``query``
        names a parameter of the URL that may hold the key.
        """
        return Require(self, self._rates, scopes, offer, query, self._rules.origins)

    def _identify(self, shown: Credentials) -> Caller:
        if shown.token.startswith(SECRET_PREFIX):
            return self._by_secret(shown)
        if key := self._ring.find(shown.token) if shown.token else None:
            return self._by_key(key, shown)
        if self._ring.has_keys:
            raise self._unknown(shown)
        if self._rules.opens_to_all or (self._rules.opens_locally and shown.is_local):
            # Clients that insist on some key send a made-up one: here any will do.
            return Caller(address=shown.address, is_local=shown.is_local, limits=self._rules.limits)
        if self._rules.opens_locally:
            raise Unauthorized(
                "Without a key only programs and pages of this machine are served, by its own "
                "name and not through a proxy.",
                hint="Use http://localhost, or make a key: parley keys create.",
            )
        raise self._unknown(shown)

    def _by_key(self, key: KeyRecord, shown: Credentials) -> Caller:
        allowed = dict.fromkeys(key.scopes)
        return Caller(
            tenant=key.tenant,
            key_id=key.id,
            scopes=frozenset(scope for scope in OPEN_SCOPES | CLOSED_SCOPES if scope in allowed),
            address=shown.address,
            is_local=shown.is_local,
            limits=self._limits(key),
        )

    def _by_secret(self, shown: Credentials) -> Caller:
        secret = self._secrets.find(shown.token)
        if secret is None:
            raise self._unknown(shown)
        asker = secret.caller
        is_alive = self._ring.by_id(asker.key_id) if asker.key_id else not self._ring.has_keys
        if not is_alive:
            raise self._unknown(shown)
        return replace(asker, address=shown.address, is_local=shown.is_local)

    def _limits(self, key: KeyRecord) -> MinuteLimits:
        default = self._rules.limits
        return MinuteLimits(
            requests=_own(key.requests_per_minute, default.requests),
            audio_s=_own(key.audio_s_per_minute, default.audio_s),
            tokens=_own(key.tokens_per_minute, default.tokens),
        )

    def _unknown(self, shown: Credentials) -> Unauthorized | RateLimited:
        if not shown.token:
            return Unauthorized("This needs a key.")
        wait_s = self._bad_keys.count(shown.address)
        if not wait_s:
            return Unauthorized("The key is unknown, has expired or was revoked.")
        log.warning("bad_keys", address=shown.address)
        return RateLimited(
            "Too many bad keys came from this address.",
            hint=f"Send a good one, or wait {wait_s} s.",
            retry_after_s=wait_s,
        )

    def _refusal(self, scope: Scope) -> Unauthorized | Forbidden:
        if scope in CLOSED_SCOPES and not self._ring.has_keys:
            return Unauthorized(
                f"This needs a key with the scope {scope}, even on this machine.",
                hint=f"Make one: parley keys create --name NAME --scopes {scope}.",
            )
        return Forbidden(
            f"This key has not the scope {scope}.",
            hint=f"Use another key, or make one: parley keys create --name NAME --scopes {scope}.",
        )


class Require(SecurityBase):
    """What a route asks for: ``dependencies=[Depends(guard.require("speech"))]``.

    FastAPI calls it before the route, which then finds the caller with ``caller_of``. It is in
    the OpenAPI document as bearer authentication; ``api.openapi`` reads the scopes out of the
    scheme's name.
    """

    def __init__(
        self,
        guard: Guard,
        rates: Rates,
        scopes: Sequence[Scope],
        offer: bool,
        query: str,
        origins: Sequence[str],
    ) -> None:
        self._guard = guard
        self._rates = rates
        self._offer = offer
        self._query = query
        self._origins = origins
        self.scopes = tuple(scopes)
        self.model = HTTPBearer(description="A key (pk_…) or a client secret (ek_…).")
        self.scheme_name = ".".join([SCHEME_NAME, *scopes])

    async def __call__(self, connection: HTTPConnection) -> Caller:
        shown = credentials_of(connection, query=self._query, origins=self._origins)
        caller = await self._guard.admit(shown, *self.scopes)
        connection.scope.setdefault("state", {})[_CALLER] = caller
        verdict = await self._rates.enter(caller, offer=self._offer)
        note_standings(connection.scope, verdict.standings)
        if verdict.refusal:
            raise verdict.refusal
        return caller


def caller_of(connection: HTTPConnection) -> Caller:
    """Who the guard has let in with this request or WebSocket."""
    caller: Caller = connection.scope["state"][_CALLER]
    return caller


def _own(limit: int | None, default: int) -> int:
    return default if limit is None else limit
