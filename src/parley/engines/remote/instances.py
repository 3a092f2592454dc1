"""Several servers that do the same work: the least busy healthy one serves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from parley.core.breaker import FAILURES_TO_OPEN, Breaker
from parley.core.errors import EngineFailed, EngineUnavailable
from parley.core.log import get_logger
from parley.engines.patience import has_run_out
from parley.engines.remote.addresses import without_password

log = get_logger(__name__)

ClientT = TypeVar("ClientT")

MOST_HOMES = 1024


@dataclass(eq=False)
class Instance(Generic[ClientT]):
    """One server. ``busy`` counts the requests it is working on; ``lacks_model`` is what its
    last check found."""

    url: str
    client: ClientT
    breaker: Breaker = field(default_factory=Breaker)
    busy: int = 0
    lacks_model: bool = False


class Instances(Generic[ClientT]):
    """The servers at ``urls``, each with a client of its own made by ``connect``."""

    def __init__(
        self,
        urls: Sequence[str],
        connect: Callable[[str], ClientT],
        disconnect: Callable[[ClientT], Awaitable[None]],
    ) -> None:
        # With others to serve in its stead, one failure is enough to leave an instance alone.
        failures = 1 if len(urls) > 1 else FAILURES_TO_OPEN
        self.all = [Instance(url, connect(url), Breaker(failures_to_open=failures)) for url in urls]
        self._disconnect = disconnect
        self._turn = 0
        self._homes: OrderedDict[str, Instance[ClientT]] = OrderedDict()

    @asynccontextmanager
    async def lease(self, guest: str = "") -> AsyncGenerator[Instance[ClientT]]:
        """The instance for one request. What is raised inside counts against it, and so does a
        cancellation by whoever has waited too long; that the caller went away doesn't.

        ``guest`` is a conversation's name, if it has one: while nothing fails it returns to the
        instance that it had, which may have kept its prompt warm.
        Raises ``EngineUnavailable`` when every instance's breaker is open.
        """
        instance = self._pick(guest)
        instance.busy += 1
        instance.breaker.started()
        try:
            yield instance
        except EngineFailed as error:
            _failed(instance, error.message)
            raise
        except BaseException:
            if has_run_out():
                _failed(instance, "it gave nothing for too long")
            else:
                instance.breaker.given_up()
            raise
        else:
            instance.breaker.succeeded()
        finally:
            instance.busy -= 1

    async def close(self) -> None:
        for instance in self.all:
            await self._disconnect(instance.client)

    def _pick(self, guest: str) -> Instance[ClientT]:
        able = [each for each in self.all if each.breaker.may_try()]
        if not able:
            soonest = min(self.all, key=lambda each: each.breaker.retry_in_s)
            raise EngineUnavailable(
                f"{without_password(soonest.url)} failed lately: {soonest.breaker.reason}",
                retry_after_s=max(1, round(soonest.breaker.retry_in_s)),
            )
        self._turn += 1
        # One that may be well again gets one request, or it would never be known.
        home = self._homes.pop(guest, None)
        chosen = min(
            able,
            key=lambda each: (
                each.lacks_model,
                each.breaker.is_closed,
                each is not home,
                *self._load(each),
            ),
        )
        if guest and len(self.all) > 1:
            self._homes[guest] = chosen
            if len(self._homes) > MOST_HOMES:
                self._homes.popitem(last=False)
        return chosen

    def _load(self, instance: Instance[ClientT]) -> tuple[int, int]:
        """Few requests first, then whose turn it is."""
        return instance.busy, (self.all.index(instance) - self._turn) % len(self.all)


def _failed(instance: Instance[ClientT], reason: str) -> None:
    instance.breaker.failed(reason)
    log.warning(
        "engine_instance_failed",
        url=without_password(instance.url),
        error=reason,
        is_out=not instance.breaker.is_closed,
    )
