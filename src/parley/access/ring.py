"""All keys and tenants in memory, at most a second old, so that no request waits for SQL."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

from parley.access.keys import KEY_PREFIX, SHOWN_CHARACTERS, digest
from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.core.tasks import begin, finished
from parley.store.records import KeyRecord, Limits

if TYPE_CHECKING:
    from parley.store.opening import Store

log = get_logger(__name__)

FRESH_S = 1.0
# How old it may be when somebody shows a key that isn't in it: they may have made it just now.
FRESH_FOR_STRANGERS_S = 0.05
USE_NOTED_S = 60.0
# Compared with when no key has the prefix, so that both cases take as long.
_NO_DIGEST = "0" * 64


def utc_now() -> datetime:
    return datetime.now(UTC)


class KeyRing:
    """The keys and the tenants' limits. Use it as an async context manager.

    A key that was revoked elsewhere counts until ``FRESH_S`` later at most, and one that was made
    elsewhere from when it is first shown. When the database is away, what was known last goes on
    counting.
    """

    def __init__(self, store: Store, *, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._now = now
        self._keys: dict[str, KeyRecord] = {}
        self._good_ids: dict[str, KeyRecord] = {}
        self._limits: dict[str, Limits] = {}
        self._change = ""
        self._checked_s = float("-inf")
        self._loading = asyncio.Lock()
        self._uses: dict[str, datetime] = {}
        self._closing = asyncio.Event()
        self._noting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> KeyRing:
        await self._load()
        self._noting = begin(self._note_uses(), "key-uses")
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        if self._noting:
            await finished(self._noting)

    @property
    def has_keys(self) -> bool:
        """Whether a key was ever made: expired and revoked ones keep the door shut, too."""
        return bool(self._keys)

    def find(self, token: str) -> KeyRecord | None:
        """The key that the token is, if it is good now. Notes its use."""
        key = self._keys.get(token[:SHOWN_CHARACTERS])
        is_same = hmac.compare_digest(digest(token), key.digest if key else _NO_DIGEST)
        now = self._now()
        if key is None or not is_same or not key.is_good(now):
            return None
        self._uses[key.id] = now
        return key

    def by_id(self, key_id: str) -> KeyRecord | None:
        """The key with that id, if it is good now."""
        key = self._good_ids.get(key_id)
        return key if key and key.is_good(self._now()) else None

    def limits_of(self, tenant: str) -> Limits:
        """The tenant's own limits, without the settings' for all."""
        return self._limits.get(tenant, Limits())

    def has_tenant(self, name: str) -> bool:
        """Whether the tenant was ever made."""
        return name in self._limits

    async def freshen(self, token: str = "") -> None:
        """Look whether anything has changed, if the last look is too long ago for that token."""
        is_strange = token.startswith(KEY_PREFIX) and token[:SHOWN_CHARACTERS] not in self._keys
        if self._loading.locked() and not is_strange:
            return
        try:
            await self._load(min(FRESH_S, FRESH_FOR_STRANGERS_S) if is_strange else FRESH_S)
        except ParleyError as error:
            log.warning("keys_not_refreshed", error=str(error))

    async def _load(self, fresh_s: float = 0.0) -> None:
        if time.monotonic() - self._checked_s < fresh_s:
            return
        async with self._loading:
            # Others may have waited for the same look.
            if time.monotonic() - self._checked_s >= fresh_s:
                await self._look()

    async def _look(self) -> None:
        self._checked_s = time.monotonic()
        change = await self._store.keys.newest_change()
        if change == self._change:
            return
        keys = await self._store.keys.all()
        tenants = await self._store.tenants.all()
        self._keys = {key.prefix: key for key in keys}
        self._good_ids = {key.id: key for key in keys}
        self._limits = {tenant.name: tenant.limits for tenant in tenants}
        self._change = change

    async def _note_uses(self) -> None:
        """Write down, once in a while, when keys were last used."""
        while not self._closing.is_set():
            try:
                async with asyncio.timeout(USE_NOTED_S):
                    await self._closing.wait()
            except TimeoutError:
                pass
            await self._write_uses()

    async def _write_uses(self) -> None:
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await self._store.keys.used(uses)
        except ParleyError as error:
            self._uses = {**uses, **self._uses}
            log.warning("key_uses_not_noted", error=str(error))
