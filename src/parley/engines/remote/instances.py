"""Several servers that do the same work: the least busy healthy one serves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from parley.core.errors import EngineFailed, EngineUnavailable
from parley.core.log import get_logger
from parley.engines.breaker import Breaker
from parley.engines.remote.addresses import without_password

log = get_logger(__name__)

ClientT = TypeVar("ClientT")


@dataclass(eq=False)
class Instance(Generic[ClientT]):
    """One server. ``busy`` counts the requests it is working on."""

    url: str
    client: ClientT
    breaker: Breaker = field(default_factory=Breaker)
    busy: int = 0


class Instances(Generic[ClientT]):
    """The servers at ``urls``, each with a client of its own made by ``connect``."""

    def __init__(
        self,
        urls: Sequence[str],
        connect: Callable[[str], ClientT],
        disconnect: Callable[[ClientT], Awaitable[None]],
    ) -> None:
        self.all = [Instance(url, connect(url)) for url in urls]
        self._disconnect = disconnect
        self._turn = 0

    @asynccontextmanager
    async def lease(self) -> AsyncGenerator[Instance[ClientT]]:
        """The instance for one request. What is raised inside counts against it.

        Raises ``EngineUnavailable`` when every instance's breaker is open.
        """
        instance = self._pick()
        instance.busy += 1
        instance.breaker.started()
        try:
            yield instance
        except EngineFailed as error:
            instance.breaker.failed(error.message)
            log.warning(
                "engine_instance_failed",
                url=without_password(instance.url),
                error=error.message,
                is_out=not instance.breaker.is_closed,
            )
            raise
        except BaseException:
            instance.breaker.given_up()
            raise
        else:
            instance.breaker.succeeded()
        finally:
            instance.busy -= 1

    async def close(self) -> None:
        for instance in self.all:
            await self._disconnect(instance.client)

    def _pick(self) -> Instance[ClientT]:
        able = [each for each in self.all if each.breaker.may_try()]
        if not able:
            soonest = min(self.all, key=lambda each: each.breaker.retry_in_s)
            raise EngineUnavailable(
                f"{without_password(soonest.url)} failed lately: {soonest.breaker.reason}",
                retry_after_s=max(1, round(soonest.breaker.retry_in_s)),
            )
        self._turn += 1
        return min(able, key=self._rank)

    def _rank(self, instance: Instance[ClientT]) -> tuple[int, int, int]:
        """Few failures first, then few requests, then whose turn it is."""
        turn = (self.all.index(instance) - self._turn) % len(self.all)
        return instance.breaker.failures, instance.busy, turn
