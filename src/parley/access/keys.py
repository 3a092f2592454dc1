"""Makes keys and takes them back. Only whoever made a key ever sees it."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from parley.access.caller import OPEN_SCOPES, SCOPES, MinuteLimits, Scope
from parley.core.errors import BadRequest, NotFound, StoreFailed
from parley.store.records import DEFAULT_TENANT, KeyRecord

if TYPE_CHECKING:
    from parley.store.keys import Keys

KEY_PREFIX = "pk_"
SHOWN_CHARACTERS = len(KEY_PREFIX) + 8
# 43 of 62 signs are 256 bits. Letters and digits pass through URLs and WebSocket subprotocols.
_SECRET_CHARACTERS = 43
_ALPHABET = string.ascii_letters + string.digits
_TRIES = 5
NO_LIMITS_OF_ITS_OWN = MinuteLimits(-1, -1, -1)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that has just been made. ``token`` is shown now and never again."""

    token: str
    record: KeyRecord


def digest(token: str) -> str:
    """What is kept of a token. A random one of 256 bits needs no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


class KeyDesk:
    """Makes, lists, revokes and rotates keys."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def create(
        self,
        name: str,
        *,
        tenant: str = DEFAULT_TENANT,
        scopes: Iterable[Scope] = OPEN_SCOPES,
        lifetime: timedelta | None = None,
        limits: MinuteLimits = NO_LIMITS_OF_ITS_OWN,
    ) -> NewKey:
        """Make a key. In ``limits`` -1 is the settings' limit, 0 none at all."""
        if not name or not tenant:
            raise BadRequest("A key needs a name and a tenant.", hint="Say what it is for.")
        now = datetime.now(UTC)
        granted = frozenset(scopes)
        record = KeyRecord(
            id=f"key_{secrets.token_hex(8)}",
            tenant=tenant,
            name=name,
            prefix="",
            digest="",
            scopes=tuple(scope for scope in SCOPES if scope in granted),
            created_at=now,
            expires_at=now + lifetime if lifetime else None,
            requests_per_minute=_own(limits.requests),
            audio_s_per_minute=_own(limits.audio_s),
            tokens_per_minute=_own(limits.tokens),
        )
        return await self._add(record)

    async def all(self, tenant: str = "") -> list[KeyRecord]:
        """Every key, or every key of one tenant, oldest first."""
        return await self._keys.all(tenant)

    async def find(self, name: str) -> KeyRecord:
        """The key with that id, prefix or name. A name that several share is no answer."""
        found = await self._keys.named(name)
        if len(found) > 1:
            now = datetime.now(UTC)
            found = [key for key in found if key.is_good(now)] or found
        if len(found) == 1:
            return found[0]
        if not found:
            raise NotFound(f"There is no key {name!r}.", hint="See parley keys list.")
        ids = ", ".join(key.id for key in found)
        raise BadRequest(f"Several keys are named {name!r}.", hint=f"Name one of {ids}.")

    async def revoke(self, name: str) -> KeyRecord:
        """The key is good for nothing from now on."""
        key = await self.find(name)
        now = datetime.now(UTC)
        await self._keys.revoke(key.id, now)
        return replace(key, revoked_at=now)

    async def forget(self, name: str) -> KeyRecord:
        """Revoke the key, and remove every trace of it."""
        key = await self.find(name)
        await self._keys.forget(key.id)
        return key

    async def rotate(self, name: str, *, overlap: timedelta) -> NewKey:
        """A new key for the same purpose; the old one stays good for ``overlap``."""
        old = await self.find(name)
        now = datetime.now(UTC)
        if not old.is_good(now):
            raise BadRequest(f"{old.id} is good no more.", hint="Create a new key instead.")
        lifetime = old.expires_at - old.created_at if old.expires_at else None
        made = await self._add(
            replace(
                old,
                id=f"key_{secrets.token_hex(8)}",
                created_at=now,
                expires_at=now + lifetime if lifetime else None,
                last_used_at=None,
            )
        )
        end = now + overlap
        await self._keys.expire(old.id, min(end, old.expires_at) if old.expires_at else end)
        return made

    async def _add(self, record: KeyRecord) -> NewKey:
        for _ in range(_TRIES):
            token = new_token(KEY_PREFIX)
            record = replace(record, prefix=token[:SHOWN_CHARACTERS], digest=digest(token))
            if await self._keys.add(record):
                return NewKey(token, record)
        raise StoreFailed("No key could be made: the database refuses each.")


def new_token(prefix: str) -> str:
    length = SHOWN_CHARACTERS - len(KEY_PREFIX) + _SECRET_CHARACTERS
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _own(limit: int) -> int | None:
    return None if limit < 0 else limit
