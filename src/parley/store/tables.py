"""The tables, as the newest migration leaves them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

SCHEMA_VERSION = "0005"
"""The newest migration. A database that says the same is used as it is."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """A moment as microseconds since 1970: exact, sortable, the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


METADATA = MetaData()
_IS_OPEN = text("ended_at IS NULL")

TENANTS = Table(
    "tenants",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("calls", Integer),
    Column("ms_day", BigInteger),
    Column("ms_month", BigInteger),
    Column("tokens_day", BigInteger),
    Column("tokens_month", BigInteger),
    Column("characters_day", BigInteger),
    Column("characters_month", BigInteger),
    # What the tenant's tools are asked with; made when it is needed first.
    Column("signing_secret", String(100)),
)

KEYS = Table(
    "keys",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(100), ForeignKey("tenants.name"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("prefix", String(40), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("last_used_at", Moment),
    Column("requests_per_minute", Integer),
    Column("audio_s_per_minute", Integer),
    Column("tokens_per_minute", Integer),
    Index("keys_by_prefix", "prefix", unique=True),
    Index("keys_by_change", "changed_at"),
)

USAGE = Table(
    "usage",
    METADATA,
    Column("tenant", String(100), ForeignKey("tenants.name"), primary_key=True),
    # 2026-11-21 or 2026-11: a day, or a month, of UTC.
    Column("period", String(10), primary_key=True),
    Column("ms", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("characters", BigInteger, nullable=False),
)

RESERVATIONS = Table(
    "reservations",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(100), ForeignKey("tenants.name"), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("day", String(10), nullable=False),
    Column("month", String(7), nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ms", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("characters", BigInteger, nullable=False),
    # What had been used up when it was renewed last: that much is charged if nobody settles it.
    Column("used_ms", BigInteger, nullable=False),
    Column("used_tokens", BigInteger, nullable=False),
    Column("used_characters", BigInteger, nullable=False),
    Index("reservations_by_tenant", "tenant"),
)

CHARGES = Table(
    "charges",
    METADATA,
    # A reservation's, or that of something nothing was set aside for.
    Column("id", String(60), primary_key=True),
    Column("charged_at", Moment, nullable=False),
    Column("ms", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("characters", BigInteger, nullable=False),
    Index("charges_by_time", "charged_at"),
)

CALLS = Table(
    "calls",
    METADATA,
    Column("id", String(60), primary_key=True),
    Column("tenant", String(100), nullable=False),
    Column("agent", String(100), nullable=False),
    Column("transport", String(40), nullable=False),
    Column("direction", String(10), nullable=False),
    Column("caller", Text, nullable=False),
    # Whom a call that went out was for; "" of those that came in.
    Column("callee", Text, nullable=False, server_default=""),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("reason", String(20), nullable=False),
    # What there is to say beyond the reason.
    Column("detail", Text, nullable=False, server_default=""),
    # Which process had it, by the name of its journal; "" was written by an older Parley.
    Column("process", String(40), nullable=False, server_default=""),
    # When that process said last that it has it.
    Column("seen_at", Moment),
    Index("calls_by_tenant", "tenant", "started_at"),
    Index("calls_by_end", "ended_at"),
    Index("calls_open", "process", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
)

TURNS = Table(
    "turns",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("call_id", String(60), ForeignKey("calls.id", ondelete="CASCADE"), nullable=False),
    Column("role", String(10), nullable=False),
    Column("text", Text, nullable=False),
    Column("said_at", Moment, nullable=False),
    # A reply's milliseconds by stage, as JSON; NULL for what was no reply.
    Column("stages", Text),
    Column("interrupted", Boolean),
    Index("turns_by_call", "call_id", "number"),
)

TOOL_USES = Table(
    "tool_uses",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("call_id", String(60), ForeignKey("calls.id", ondelete="CASCADE"), nullable=False),
    Column("tool", String(200), nullable=False),
    Column("after_ms", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("ended_at", Moment, nullable=False),
    Index("tool_uses_by_call", "call_id", "number"),
)

TOOL_RUNS = Table(
    "tool_runs",
    METADATA,
    Column("id", String(60), primary_key=True),
    Column("tenant", String(100), ForeignKey("tenants.name", ondelete="CASCADE"), nullable=False),
    # A call, or a turn in writing, of which nothing else is kept: only calls take theirs along.
    Column("call_id", String(60), nullable=False),
    Column("kept_call", String(60), ForeignKey("calls.id", ondelete="CASCADE")),
    # Whose secret signs what the tool sends later: a tenant's, or "" for the house's.
    Column("owner", String(100), nullable=False),
    Column("agent", String(100), nullable=False),
    Column("tool", String(200), nullable=False),
    Column("provider", String(100), nullable=False),
    Column("tool_call_id", Text, nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    # JSON, without secrets.
    Column("arguments", Text, nullable=False),
    Column("state", String(10), nullable=False),
    # JSON, shortened; "" while there is none.
    Column("answer", Text, nullable=False),
    Column("error_code", String(60), nullable=False),
    Column("error", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("after_ms", Integer),
    Index("tool_runs_by_tenant", "tenant", "started_at"),
    Index("tool_runs_by_call", "call_id", "started_at"),
    Index("tool_runs_by_kept_call", "kept_call"),
    Index("tool_runs_by_state", "state", "expires_at"),
)

WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(100), ForeignKey("tenants.name", ondelete="CASCADE"), nullable=False),
    Column("url", Text, nullable=False),
    # Names with commas between.
    Column("events", Text, nullable=False),
    Column("secret", String(100), nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("webhooks_by_tenant", "tenant", "created_at"),
)
