"""The rules by which a chain of engines serves a request: who is asked, how long, who is next."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from parley.core.errors import (
    EngineBusy,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    ParleyError,
)
from parley.core.log import get_logger
from parley.engines.fallback.limits import StageLimits
from parley.engines.fallback.member import Member, reason_of
from parley.engines.spec import Kind

log = get_logger(__name__)

EngineT = TypeVar("EngineT")

RETRIES = 2
FIRST_RETRY_S = 0.1
JITTER = 0.5
# An engine that asks for a longer pause is not waited for within a turn.
SHORT_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Replacement:
    """One engine took over from another. ``after_ms``: how long the failed one was given."""

    kind: Kind
    failed: str
    replacement: str
    reason: str
    after_ms: float


Tell = Callable[[Replacement], None]


@dataclass(eq=False)
class Link(Generic[EngineT]):
    """A member's place in a chain.

    A stand-in (the dialogue script in the place of a language model) serves only while no other
    has ever worked: it must not take over a conversation.
    """

    member: Member[EngineT]
    is_stand_in: bool = False


@dataclass(eq=False)
class Attempt(Generic[EngineT]):
    """One engine's go at a request. ``first_s`` is how long its first result may take."""

    member: Member[EngineT]
    first_s: float
    gap_s: float
    is_first_choice: bool
    was_well: bool
    started_s: float = field(default_factory=time.monotonic)
    has_given: bool = False

    @property
    def engine(self) -> EngineT:
        return self.member.engine

    def succeeded(self) -> None:
        self.member.worked(was_well=self.was_well)

    def left(self) -> None:
        """Whoever asked went away."""
        if self.has_given:
            self.succeeded()


class Chain(Generic[EngineT]):
    """Engines of one kind in the order in which they are wished for.

    ``tell`` hears of replacements. One object per call remembers who served it last; the members
    are shared.
    """

    def __init__(
        self,
        kind: Kind,
        links: Sequence[Link[EngineT]],
        limits: StageLimits,
        tell: Tell | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.links = tuple(links)
        self.limits = limits
        self._tell = tell
        self._serving: Member[EngineT] | None = None

    def for_call(self, tell: Tell, limits: StageLimits | None = None) -> Chain[EngineT]:
        return Chain(self.kind, self.links, limits or self.limits, tell)

    @property
    def members(self) -> tuple[Member[EngineT], ...]:
        return tuple(link.member for link in self.links)

    @property
    def serving(self) -> Member[EngineT]:
        """Who would be asked now."""
        return self._order()[0]

    def request(self) -> Request[EngineT]:
        """A new request; those that are sick and may be well again are looked after meanwhile."""
        order = self._order()
        for link in self.links:
            link.member.look_after()
        last, first = self._serving, order[0]
        if last is not None and last is not first and not last.is_well:
            self.replaced(last, first, last.reason, 0.0)
        self._serving = first
        return Request(self, order)

    def replaced(
        self, failed: Member[EngineT], by: Member[EngineT], reason: str, after_ms: float
    ) -> None:
        told = Replacement(self.kind, failed.name, by.name, reason, round(after_ms, 1))
        self._serving = by
        log.warning(
            "engine_replaced",
            kind=told.kind,
            failed=told.failed,
            replacement=told.replacement,
            reason=reason,
            after_ms=told.after_ms,
        )
        if self._tell is not None:
            self._tell(told)

    def _order(self) -> list[Member[EngineT]]:
        """The well ones first, then the sick: with nobody else left they are asked after all."""
        real = [link.member for link in self.links if not link.is_stand_in]
        members = real if any(member.has_worked for member in real) else list(self.members)
        if all(member.is_well for member in members):
            return members
        return sorted(members, key=_is_sick)


class Request(Generic[EngineT]):
    """One request on its way through a chain.

    Ask for an ``attempt()``; when it fails say so with ``failed`` and ask for another.
    """

    def __init__(self, chain: Chain[EngineT], order: Sequence[Member[EngineT]]) -> None:
        self._chain = chain
        self._waiting = list(order)
        self._first_choice = chain.links[0].member
        self._ends_s = 0.0
        self._retries = 0
        self._errors: list[tuple[Member[EngineT], Exception]] = []
        self._has_given = False
        self.patience_begins(time.monotonic())

    def patience_begins(self, at_s: float) -> None:
        """From then on the caller waits."""
        self._ends_s = at_s + self._chain.limits.patience_s

    @property
    def has_others(self) -> bool:
        """Whether somebody is left behind the one that is at work."""
        return len(self._waiting) > 1

    def attempt(self) -> Attempt[EngineT]:
        """The next engine's go. Raises what went wrong when nobody is left, or no time."""
        left_s = self._ends_s - time.monotonic()
        if not self._waiting or (self._errors and left_s <= 0 and not self._has_given):
            raise self._failure()
        limits, member = self._chain.limits, self._waiting[0]
        patience_s = limits.first_s if self._has_given else max(left_s, 0.0)
        is_last_hope = member.is_well and not any(each.is_well for each in self._waiting[1:])
        # Those that were sick are asked at the very end, and want their time too.
        most_s = patience_s - limits.first_s if self.has_others else patience_s
        return Attempt(
            member,
            first_s=max(most_s if is_last_hope else 0.0, min(limits.first_s, patience_s)),
            gap_s=limits.patience_s if is_last_hope else limits.gap_s,
            is_first_choice=member is self._first_choice,
            was_well=member.is_well,
        )

    async def failed(self, attempt: Attempt[EngineT], error: Exception) -> None:
        """Make up one's mind: the same engine once more, after a pause, or the next."""
        self._has_given = self._has_given or attempt.has_given
        pause_s = self._pause_s(attempt, error)
        if pause_s is not None:
            self._retries += 1
            await asyncio.sleep(pause_s)
            return
        self._errors.append((attempt.member, error))
        if _is_engines_fault(error):
            attempt.member.failed(reason_of(error))
        self._retries = 0
        self._waiting.pop(0)
        if self._waiting:
            after_ms = (time.monotonic() - attempt.started_s) * 1000
            self._chain.replaced(attempt.member, self._waiting[0], reason_of(error), after_ms)

    def _pause_s(self, attempt: Attempt[EngineT], error: Exception) -> float | None:
        """How long until the same engine is asked again; None if it isn't."""
        # Only plain EngineUnavailable may pass within a moment; its kinds have reasons that stay.
        if type(error) is not EngineUnavailable or self._retries >= RETRIES:
            return None
        if attempt.has_given or not attempt.was_well or self._has_given:
            return None
        pause_s = FIRST_RETRY_S * 2**self._retries * (1 + JITTER * random.random())
        if error.retry_after_s:
            # The next engine answers sooner than this one would.
            if self.has_others or error.retry_after_s > SHORT_PAUSE_S:
                return None
            pause_s = max(pause_s, error.retry_after_s)
        return pause_s if time.monotonic() + pause_s < self._ends_s else None

    def _failure(self) -> Exception:
        if len(self._errors) == 1:
            return self._errors[0][1]
        told = "; ".join(f"{member.name}: {reason_of(error)}" for member, error in self._errors)
        message = f"No {self._chain.kind} engine of the chain could answer ({told})."
        errors = [error for _, error in self._errors]
        if all(isinstance(error, ParleyError) and not error.can_retry for error in errors):
            return errors[0]
        if all(isinstance(error, EngineUnavailable) for error in errors):
            waits = [error.retry_after_s for error in errors if isinstance(error, ParleyError)]
            return _because(EngineUnavailable(message, retry_after_s=min(waits)), errors[-1])
        kind = EngineTimeout if isinstance(errors[-1], EngineTimeout) else EngineFailed
        return _because(kind(message), errors[-1])


def _because(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def _is_sick(member: Member[EngineT]) -> bool:
    return not member.is_well


def _is_engines_fault(error: Exception) -> bool:
    """A request that is wrong in itself, or one too many, says nothing of the engine's health."""
    if isinstance(error, EngineBusy):
        return False
    return not isinstance(error, ParleyError) or isinstance(error, EngineFailed)
