"""What a key may do in a minute: requests, seconds of sound, tokens, tries to call."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from parley.access.caller import Caller
from parley.access.counters import Counters, open_counters
from parley.core.errors import RateLimited
from parley.core.log import get_logger

if TYPE_CHECKING:
    from limits import RateLimitItem

log = get_logger(__name__)

AWAY_S = 5.0

Counted = Literal["requests", "audio_s", "tokens", "offers"]

_WORDS: dict[Counted, str] = {
    "requests": "requests",
    "audio_s": "seconds of sound",
    "tokens": "tokens",
    "offers": "calls begun",
}
_HEADERS: dict[Counted, str] = {
    "requests": "requests",
    "audio_s": "audio-seconds",
    "tokens": "tokens",
    "offers": "requests",
}
RATE_HEADERS = tuple(
    f"x-ratelimit-{what}-{name}"
    for name in dict.fromkeys(_HEADERS.values())
    for what in ("limit", "remaining", "reset")
)
"""Every header that tells how a caller stands."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a caller stands with one limit."""

    counted: Counted
    limit: int
    remaining: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the caller stands with every limit, and the refusal if one of them is reached."""

    standings: tuple[Standing, ...]
    refusal: RateLimited | None = None


class Rates:
    """Counts in windows of a minute. ``offers`` is the limit on tries to begin a call.

    Rates protect the engines: counters that are away must not close the house. Whoever asks then
    passes uncounted, and for ``AWAY_S`` nobody waits for them again.
    """

    def __init__(
        self,
        counters: Counters,
        *,
        offers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from limits import RateLimitItemPerMinute

        self._counters = counters
        self._limiter = counters.limiter
        self._clock = clock
        self._away_until_s = float("-inf")
        self._offers = offers
        self._per_minute = RateLimitItemPerMinute

    async def enter(self, caller: Caller, *, offer: bool = False) -> Verdict:
        """Count a request. It is to be refused when it, or what came before, is too much."""
        from limits.errors import StorageError

        standings: list[Standing] = []
        if self._are_away:
            return Verdict(())
        try:
            await self._enter(caller, offer, standings)
        except StorageError as error:
            self._not_counted(error)
        except RateLimited as refusal:
            return Verdict(tuple(standings), refusal)
        return Verdict(tuple(standings))

    async def _enter(self, caller: Caller, offer: bool, standings: list[Standing]) -> None:
        limits = caller.limits
        # A page on this machine may be reloaded as often as one likes.
        if offer and not (caller.is_local and not caller.key_id):
            await self._count("offers", self._offers, caller, standings)
        else:
            await self._count("requests", limits.requests, caller, standings)
        await self._look("audio_s", limits.audio_s, caller, standings)
        await self._look("tokens", limits.tokens, caller, standings)

    async def spend(self, caller: Caller, *, audio_s: float = 0, tokens: int = 0) -> None:
        """Count what a request came to. It has been served: nothing is refused any more."""
        from limits.errors import StorageError

        if self._are_away:
            return
        try:
            await self._spend(caller, audio_s, tokens)
        except StorageError as error:
            self._not_counted(error)

    async def standings(self, caller: Caller) -> tuple[Standing, ...]:
        """How the caller stands with requests and tokens; nothing is counted."""
        from limits.errors import StorageError

        limits = caller.limits
        counted: tuple[tuple[Counted, int], ...] = (
            ("requests", limits.requests),
            ("tokens", limits.tokens),
        )
        found: list[Standing] = []
        if self._are_away:
            return ()
        try:
            for each, limit in counted:
                if limit:
                    found.append(await self._standing(each, self._item(each, limit), caller))
        except StorageError as error:
            self._not_counted(error)
        return tuple(found)

    async def close(self) -> None:
        await self._counters.close()

    @property
    def _are_away(self) -> bool:
        return self._clock() < self._away_until_s

    def _not_counted(self, error: Exception) -> None:
        self._away_until_s = self._clock() + AWAY_S
        log.warning("rates_not_counted", error=str(error), for_s=AWAY_S)

    async def _spend(self, caller: Caller, audio_s: float, tokens: int) -> None:
        limits = caller.limits
        if limits.audio_s and audio_s > 0:
            item = self._item("audio_s", limits.audio_s)
            await self._limiter.hit(item, caller.budget, cost=math.ceil(audio_s))
        if limits.tokens and tokens > 0:
            await self._limiter.hit(self._item("tokens", limits.tokens), caller.budget, cost=tokens)

    async def _count(
        self, counted: Counted, limit: int, caller: Caller, standings: list[Standing]
    ) -> None:
        if not limit:
            return
        item = self._item(counted, limit)
        is_allowed = await self._limiter.hit(item, caller.budget)
        standing = await self._standing(counted, item, caller)
        standings.append(standing)
        if not is_allowed:
            raise _refusal(standing)

    async def _look(
        self, counted: Counted, limit: int, caller: Caller, standings: list[Standing]
    ) -> None:
        if not limit:
            return
        standing = await self._standing(counted, self._item(counted, limit), caller)
        standings.append(standing)
        if not standing.remaining:
            raise _refusal(standing)

    async def _standing(self, counted: Counted, item: RateLimitItem, caller: Caller) -> Standing:
        stats = await self._limiter.get_window_stats(item, caller.budget)
        reset_s = max(0.0, stats.reset_time - time.time())
        return Standing(counted, item.amount, max(0, stats.remaining), reset_s)

    def _item(self, counted: Counted, limit: int) -> RateLimitItem:
        return self._per_minute(limit, namespace=f"parley/{counted}")


def _refusal(standing: Standing) -> RateLimited:
    wait_s = max(1, math.ceil(standing.reset_s))
    return RateLimited(
        f"Too many {_WORDS[standing.counted]} in a minute: the limit is {standing.limit}.",
        hint=f"Wait {wait_s} s.",
        retry_after_s=wait_s,
    )


def rate_headers(standings: Iterable[Standing]) -> dict[str, str]:
    """``x-ratelimit-limit-requests`` and its like."""
    headers: dict[str, str] = {}
    for standing in standings:
        name = _HEADERS[standing.counted]
        headers[f"x-ratelimit-limit-{name}"] = str(standing.limit)
        headers[f"x-ratelimit-remaining-{name}"] = str(standing.remaining)
        headers[f"x-ratelimit-reset-{name}"] = duration(standing.reset_s)
    return headers


def duration(seconds: float) -> str:
    """``12ms``, ``1s``, ``6m0s``, ``1h2m3s``: the way in which OpenAI writes durations."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    whole = math.ceil(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"


async def open_rates(redis_url: str, *, offers: int) -> Rates:
    """Counters in this process's memory, or in Redis for several servers."""
    return Rates(await open_counters(redis_url), offers=offers)
