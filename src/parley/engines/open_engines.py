"""The engines that are open: each once per set of options, warmed together, closed in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from parley.core.log import get_logger
from parley.engines.fallback.places import Queue
from parley.engines.found import Spec
from parley.engines.opened import Opened
from parley.engines.resources import MachineShares
from parley.engines.spec import EngineOptions, Kind, Status
from parley.engines.speech_cache.cache import SpeechCache
from parley.engines.wish import Wishes

log = get_logger(__name__)


class OpenEngines:
    """Opening is shared: the same engine with the same options is one object for all calls."""

    def __init__(self, speech: SpeechCache | None = None) -> None:
        self._speech = speech
        self._all: list[Opened] = []
        self._shares = MachineShares()

    def get(self, spec: Spec, options: EngineOptions) -> Opened:
        """The engine, opened now if it wasn't; that may raise whatever its package does."""
        opened = self._find(spec, options)
        if opened is None:
            opened = Opened(spec, options, self._speech)
            self._all.append(opened)
        return opened

    def has(self, spec: Spec, options: EngineOptions) -> bool:
        return self._find(spec, options) is not None

    def serve(self, wishes: Wishes, opened: Opened, why: str) -> None:
        """It serves those who wish so, in the place of whoever of its kind did until now."""
        for other in self._all:
            if other is not opened and other.spec.kind == opened.spec.kind:
                other.serves_no_more(wishes)
        opened.serve(wishes, why)

    @property
    def serving(self) -> list[Opened]:
        """Those that were chosen to serve, and don't only stand by."""
        return [opened for opened in self._all if opened.why]

    async def warm_up(self) -> None:
        """Warm every engine in use that is cold. One that can't start only stands by from then
        on, as sick, so that it keeps no other agent from being prepared; raises for the first
        that was chosen to serve."""
        cold = [each for each in self._all if each.is_in_use and (each.why or each.member.is_well)]
        await self._shares.among([each.engine for each in cold])
        results = await asyncio.gather(*(each.warm() for each in cold), return_exceptions=True)
        missed: list[Exception] = []
        for opened, result in zip(cold, results, strict=True):
            if result is None:
                continue
            if not isinstance(result, Exception):
                raise result
            if opened.why:
                missed.append(result)
            opened.could_not_start(result)
            log.warning("engine_not_ready", engine=opened.spec.name, error=str(result))
        if missed:
            raise missed[0]

    async def warm_in_passing(self, opened: Opened) -> None:
        """Warm this one and no other."""
        await self._shares.among([opened.engine])
        await opened.warm_in_passing()

    async def check(self) -> dict[tuple[Kind, str], Status]:
        """Ask every engine in use whether it can work now."""
        in_use = [opened for opened in self._all if opened.is_in_use]
        states = await asyncio.gather(*(opened.status() for opened in in_use))
        found: dict[tuple[Kind, str], Status] = {}
        for opened, status in zip(in_use, states, strict=True):
            # With other options the same engine may be open once more: what ails is told.
            held = found.get(opened.key)
            if held is None or held.ok:
                found[opened.key] = status
        return found

    def queues(self) -> Mapping[tuple[Kind, str], Queue]:
        """Who waits for each engine in use that serves a bounded number at a time."""
        found: dict[tuple[Kind, str], Queue] = {}
        for opened in self._all:
            places = opened.member.places
            if opened.is_in_use and places is not None:
                held = found.get(opened.key)
                found[opened.key] = places.queue if held is None else held.and_(places.queue)
        return found

    async def close_unused(self) -> None:
        """Close what was only asked whether it can work."""
        for opened in [each for each in self._all if not each.is_in_use]:
            self._all.remove(opened)
            await opened.close()

    async def close(self) -> None:
        """Close all, the last opened first; one that fails doesn't keep the rest open."""
        while self._all:
            await self._all.pop().close()

    def _find(self, spec: Spec, options: EngineOptions) -> Opened | None:
        for opened in self._all:
            if opened.spec is spec and opened.options == options:
                return opened
        return None
