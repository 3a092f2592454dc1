"""What the store takes and gives: plain facts, without a word of SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from parley.core.call import CallInfo

DEFAULT_TENANT = "default"

ReservationKind = Literal["call", "request"]


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much of what is counted: milliseconds of calls and sound, tokens, characters."""

    ms: int = 0
    tokens: int = 0
    characters: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def at_least(self, other: Amounts) -> Amounts:
        """The greater of both, measure by measure."""
        return Amounts(*map(max, astuple(self), astuple(other)))

    def __bool__(self) -> bool:
        return any(astuple(self))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a tenant has; ``None`` is no limit. Days and months are those of UTC."""

    calls: int | None = None
    ms_day: int | None = None
    ms_month: int | None = None
    tokens_day: int | None = None
    tokens_month: int | None = None
    characters_day: int | None = None
    characters_month: int | None = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in astuple(self))

    def over(self, defaults: Limits) -> Limits:
        """These as a tenant's own: 0 lifts a limit, None leaves the default."""
        return Limits(
            *(
                default if limit is None else limit or None
                for limit, default in zip(astuple(self), astuple(defaults), strict=True)
            )
        )

    def of(self, measure: str, period: str) -> int | None:
        """``of("tokens", "day")``."""
        found: int | None = getattr(self, f"{measure}_{period}")
        return found


MEASURES = tuple(field.name for field in fields(Amounts))
PERIODS = ("day", "month")


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """Who owns keys and calls. In ``limits`` ``None`` is the settings' limit and 0 none at all."""

    name: str
    created_at: datetime
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is kept: what is shown of it, and the sha256 of the whole.

    In what it may do in a minute ``None`` is the settings' limit and 0 none at all.
    """

    id: str
    tenant: str
    name: str
    prefix: str
    digest: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    requests_per_minute: int | None = None
    audio_s_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def is_good(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class ReservationRecord:
    """What is set aside for a call or a request until it is settled or ``expires_at``.

    It counts on the day and in the month in which it was made.
    """

    id: str
    tenant: str
    kind: ReservationKind
    made_at: datetime
    expires_at: datetime
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Settlement:
    """What has been used under a reservation; it counts once, however often it is told.

    Where nothing was set aside, ``id`` is a name of its own. ``renewed_with`` was ``used`` at the
    last renewal: so much is charged already if the reservation has expired meanwhile.
    """

    id: str
    tenant: str
    made_at: datetime
    used: Amounts
    renewed_with: Amounts = Amounts()


@dataclass(frozen=True, slots=True)
class Short:
    """Why nothing could be set aside: ``measure`` (ms, tokens, characters, calls) of ``period``."""

    measure: str
    period: str
    limit: int


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call that is live (``ended_at`` is None) or over.

    ``detail`` is what there is to say beyond the ``reason``; ``process`` is the one that had it.
    """

    id: str
    tenant: str
    agent: str
    transport: str
    direction: str
    caller: str
    started_at: datetime
    ended_at: datetime | None = None
    reason: str = ""
    callee: str = ""
    detail: str = ""
    process: str = ""

    @classmethod
    def of(cls, call: CallInfo) -> CallRecord:
        """A live call as it is kept when it begins."""
        return cls(
            id=call.id,
            tenant=call.tenant,
            agent=call.agent,
            transport=call.transport,
            direction=call.direction,
            caller=call.caller,
            callee=call.callee,
            started_at=call.started_at,
        )


@dataclass(frozen=True, slots=True)
class CallEnd:
    """When and why a call was over."""

    id: str
    reason: str
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One thing that was said in a call: ``role`` is user or agent.

    ``stages`` are a reply's milliseconds by stage; of one that was ``interrupted``, ``text`` is
    what was heard.
    """

    call_id: str
    role: Literal["user", "agent"]
    text: str
    said_at: datetime
    stages: Mapping[str, float] = field(default_factory=dict[str, float])
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class ToolUseRecord:
    """A tool that was used in a call; ``error`` is "" unless it failed."""

    call_id: str
    tool: str
    after_ms: int
    error: str
    ended_at: datetime


RunState = Literal["open", "answered", "failed", "late", "cancelled"]


@dataclass(frozen=True, slots=True)
class ToolRunRecord:
    """One run of a tool, in a call or in a turn in writing, whose id ``call_id`` is then.

    ``arguments`` hold no secrets; ``answer`` is JSON, shortened. A run that is ``open`` after
    ``expires_at`` was cut off. ``late``: an answer came when nobody waited for it any more.
    ``owner`` is the tenant whose secret signs what the tool sends later, "" for the house's.
    """

    id: str
    tenant: str
    call_id: str
    agent: str
    tool: str
    started_at: datetime
    expires_at: datetime
    provider: str = ""
    tool_call_id: str = ""
    idempotency_key: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    state: RunState = "open"
    answer: str = ""
    error_code: str = ""
    error: str = ""
    ended_at: datetime | None = None
    after_ms: int | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True)
class ToolRunEnd:
    """What became of a run."""

    id: str
    state: RunState
    ended_at: datetime
    after_ms: int
    answer: str = ""
    error_code: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs to look for; "" is any."""

    call_id: str = ""
    tool: str = ""
    state: str = ""


ANY_RUN = RunQuery()


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """Whom to tell of a tenant's calls: ``events`` by name, signed with ``secret``."""

    id: str
    tenant: str
    url: str
    events: tuple[str, ...]
    secret: str
    created_at: datetime
