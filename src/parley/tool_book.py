"""The book of all tool runs, and the secrets of tenants, as the store keeps them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.store.opening import Store
from parley.store.records import DEFAULT_TENANT, ToolRunEnd, ToolRunRecord
from parley.store.run_journal import RunJournal, RunOwner
from parley.tools.book import RunBegan, RunOver
from parley.tools.runs import RememberedRun, RunState, ToolRun

log = get_logger(__name__)

LONGEST_ANSWER = 8000
LONGEST_ARGUMENTS = 8000
LONGEST_ERROR = 2000
# A run that its process didn't end this much after its time is over never will be.
GRACE_S = 15.0
SECRET_FRESH_S = 2.0
REFRESH_LIMIT_S = 0.5


class StoredToolBook:
    """``tools.book.ToolBook`` for the toolbelts, and ``tools.runs.RunBook`` for what is answered
    later."""

    def __init__(self, store: Store, journal: RunJournal) -> None:
        self._shelf = store.tool_runs
        self._journal = journal
        self._kinds: dict[str, str] = {}

    def began(self, run: RunBegan) -> None:
        now = datetime.now(UTC)
        self._journal.note(
            ToolRunRecord(
                id=run.id,
                tenant=run.tenant or DEFAULT_TENANT,
                call_id=_plain(run.call_id, 60),
                agent=_plain(run.agent, 100),
                tool=_plain(run.tool, 200),
                provider=_plain(run.provider, 100),
                tool_call_id=_plain(run.tool_call_id, LONGEST_ERROR),
                idempotency_key=run.idempotency_key,
                arguments=_short_arguments(run.arguments),
                started_at=now,
                expires_at=now + timedelta(seconds=run.timeout_s + GRACE_S),
            )
        )

    def ended(self, run: RunOver) -> None:
        kind = self._kinds.pop(run.id, "") or run.error_code
        self._journal.note(
            ToolRunEnd(
                id=run.id,
                state=run.state,
                ended_at=datetime.now(UTC),
                after_ms=round(run.after_ms),
                answer=_short(run.answer) if run.state == "answered" else "",
                error_code=_plain(kind, 60),
                error=_plain(run.error, LONGEST_ERROR),
            )
        )

    def opened(self, run: ToolRun) -> None:
        if run.owner:
            self._journal.note(RunOwner(run.id, run.owner))

    def closed(self, run: ToolRun, state: RunState, error: str) -> None:
        """The toolbelt tells of the end, but knows less of what went wrong."""
        if error and state == "failed":
            self._kinds[run.id] = error

    async def recall(self, run_id: str) -> RememberedRun | None:
        """The run, if it was ever begun. Raises ``StoreFailed``."""
        await self._journal.settled()
        kept = await self._shelf.get(run_id) if run_id.isprintable() else None
        if kept is None:
            return None
        run = ToolRun(
            call_id=kept.call_id,
            tenant=kept.tenant,
            owner=kept.owner,
            agent=kept.agent,
            tool=kept.tool,
            tool_call_id=kept.tool_call_id,
            idempotency_key=kept.idempotency_key,
            provider=kept.provider,
            id=kept.id,
        )
        return RememberedRun(run, kept.state)

    async def late(self, run: ToolRun, answer: Mapping[str, Any]) -> bool:
        await self._journal.settled()
        return await self._shelf.came_late(run.id, _short(answer))


class SecretShelf(Protocol):
    """Where secrets are kept: ``store.tenants``."""

    async def secret_of(self, name: str) -> str: ...


class StoredSecrets:
    """``tools.webhook.signing.ToolSecrets``: what tenants sign with, no older than two seconds
    unless the database is away or slow."""

    def __init__(self, kept: SecretShelf) -> None:
        self._kept = kept
        self._known: dict[str, tuple[str, float]] = {}

    async def secret_for(self, owner: str) -> str:
        """The tenant's secret; the house's is that of the tenant ``default``."""
        name = owner or DEFAULT_TENANT
        secret, since_s = self._known.get(name, ("", float("-inf")))
        if time.monotonic() - since_s < SECRET_FRESH_S:
            return secret
        try:
            async with asyncio.timeout(REFRESH_LIMIT_S if secret else None):
                secret = await self._kept.secret_of(name)
        except (ParleyError, TimeoutError) as error:
            if not secret:
                raise
            # Calls go on with what was known while the database is away.
            log.warning("secret_not_refreshed", tenant=name, error=str(error) or "too slow")
        self._known[name] = secret, time.monotonic()
        return secret


def _short(answer: Any) -> str:
    text = json.dumps(answer, default=str)
    return text if len(text) <= LONGEST_ANSWER else f"{text[: LONGEST_ANSWER - 1]}…"


def _short_arguments(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    text = json.dumps(arguments, default=str)
    return arguments if len(text) <= LONGEST_ARGUMENTS else {"…": text[:LONGEST_ARGUMENTS]}


def _plain(text: str, most: int) -> str:
    """As every database takes it."""
    return text.replace("\0", "").encode(errors="replace").decode()[:most]
