"""One engine as chains know it: whether it is well, how many it serves, how it comes back."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, TypeVar

from parley.core.breaker import Breaker
from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.engines.fallback.places import Places

log = get_logger(__name__)

EngineT = TypeVar("EngineT")

PROBE_LIMIT_S = 20.0


class Member(Generic[EngineT]):
    """An open engine, shared by all chains that hold it.

    One failed request opens its breaker, since somebody else is there to serve. When the pause is
    over a probe asks it in the background, so that no caller waits to find out.
    ``probe`` makes a small request; it raises if the engine is still sick.
    """

    def __init__(
        self,
        name: str,
        engine: EngineT,
        *,
        probe: Callable[[], Awaitable[None]],
        places: Places | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self.name = name
        self.engine = engine
        self.places = places
        self.breaker = breaker or Breaker(failures_to_open=1)
        self.has_worked = False
        self._probe = probe
        self._probed = False
        self._probing: asyncio.Task[None] | None = None

    @property
    def is_well(self) -> bool:
        """Whether requests should go to it."""
        return self.breaker.is_closed or self._probed

    @property
    def reason(self) -> str:
        """Why it failed last, while it is sick."""
        return self.breaker.reason

    def worked(self, *, was_well: bool) -> None:
        """A request succeeded. One that began before a failure says nothing of the time after."""
        self.has_worked = True
        if was_well and not self.is_well:
            return
        self.breaker.succeeded()
        self._probed = False

    def failed(self, reason: str) -> None:
        self._probed = False
        self.breaker.failed(reason)

    def place(self, tenant: str, limit_s: float) -> AbstractAsyncContextManager[None]:
        """Wait for a place where the engine's ``max_concurrent`` says so."""
        return self.places.taken(tenant, limit_s) if self.places else _no_queue()

    def look_after(self) -> None:
        """Start the probe if one is due; ``close`` ends it."""
        if self.is_well or self._probing is not None or not self.breaker.may_try():
            return
        self.breaker.started()
        # Not in the context of the call that happened to start it: its logs name that call.
        self._probing = asyncio.create_task(
            self._examine(), name=f"probe:{self.name}", context=contextvars.Context()
        )
        self._probing.add_done_callback(self._examined)

    async def recovered(self) -> bool:
        """Wait for the probe that is under way, if any; whether the engine is well then."""
        if self._probing is not None:
            await asyncio.wait([self._probing])
        return self.is_well

    async def close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)

    async def _examine(self) -> None:
        try:
            async with asyncio.timeout(PROBE_LIMIT_S):
                await self._probe()
        except Exception as error:
            # Whatever an engine throws: it is not well.
            self.failed(reason_of(error))
            log.info("engine_still_away", engine=self.name, error=reason_of(error))
        except BaseException:
            self.breaker.given_up()
            raise
        else:
            # The breaker forgets its pauses only when a caller was served.
            self._probed = True
            self.breaker.given_up()
            log.info("engine_back", engine=self.name)

    def _examined(self, _task: asyncio.Task[None]) -> None:
        self._probing = None


def reason_of(error: BaseException) -> str:
    """An error in one sentence."""
    if isinstance(error, ParleyError):
        return error.message
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@asynccontextmanager
async def _no_queue() -> AsyncGenerator[None]:
    yield


AnyMember = Member[Any]
