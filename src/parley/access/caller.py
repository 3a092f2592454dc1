"""Who is asking, and what they may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from parley.core.errors import BadRequest
from parley.core.registry import did_you_mean
from parley.store.records import DEFAULT_TENANT

Scope = Literal[
    "speech",
    "transcribe",
    "chat",
    "realtime",
    "calls",
    "agents",
    "tools",
    "webhooks",
    "models",
    "outbound",
    "admin",
    "metrics",
]

Owner = tuple[str, str, str]
"""Tenant, key and client secret of whoever has begun something."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
CLOSED_SCOPES: frozenset[Scope] = frozenset({"outbound", "admin", "metrics"})
"""What nobody may do until a key exists, not even on loopback."""

OPEN_SCOPES: frozenset[Scope] = frozenset(SCOPES) - CLOSED_SCOPES
"""What a key may do unless it was made for something else."""

SECRET_SCOPES: frozenset[Scope] = frozenset({"realtime", "calls"})
"""What a client secret may do, if the key that it came from may."""

SCOPE_MEANINGS: Mapping[Scope, str] = {
    "speech": "have text spoken",
    "transcribe": "have sound written down",
    "chat": "use language models and agents in writing",
    "realtime": "hold a conversation by the Realtime protocol, and make client secrets",
    "calls": "hold calls, see those of its tenant and act on them",
    "agents": "see and check agents",
    "tools": "see tools and what they did, and answer for them later",
    "webhooks": "have events of its tenant's calls sent somewhere",
    "models": "fetch, load and remove models",
    "outbound": "call people",
    "admin": "change keys and tenants",
    "metrics": "read figures of the whole server",
}


@dataclass(frozen=True, slots=True)
class MinuteLimits:
    """What a key may do in a minute; 0 is no limit."""

    requests: int = 0
    audio_s: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose key is good, or who needs none.

    ``key_id`` is "" without a key. ``session`` is the configuration that a client secret carries,
    None for other callers, and ``secret`` tells that secret from others. ``budget`` names whose
    limits the caller uses up: those of the key, or of the address.
    """

    tenant: str = DEFAULT_TENANT
    key_id: str = ""
    scopes: frozenset[Scope] = OPEN_SCOPES
    address: str = ""
    is_local: bool = False
    session: Mapping[str, Any] | None = None
    secret: str = ""
    limits: MinuteLimits = field(default_factory=MinuteLimits)

    @property
    def budget(self) -> str:
        return self.key_id or f"address {self.address}"

    @property
    def owner(self) -> Owner:
        """Who has begun what this caller begins, and no other credential may take over."""
        return self.tenant, self.key_id, self.secret

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes


def read_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Scopes by name; ``all`` is every one, closed ones too."""
    found: set[Scope] = set()
    for word in words:
        if word == "all":
            found.update(SCOPES)
        elif word in SCOPES:
            found.add(word)
        else:
            raise BadRequest(f"{word!r} is no scope.", hint=did_you_mean(word, [*SCOPES, "all"]))
    return frozenset(found)
