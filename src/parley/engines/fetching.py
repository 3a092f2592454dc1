"""Fetches models that are missing, in the background, one after the other, each once.

Nothing is fetched before ``begin()``: at a start, who serves meanwhile must be settled first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.engines.progress import PullBar, PullRate
from parley.engines.spec import Kind, ModelKeeper, PullProgress

log = get_logger(__name__)


@dataclass(eq=False)
class Fetch:
    """One model on its way. ``outcome`` is done when it is here (True) or can't be had (False)."""

    kind: Kind
    engine: str
    model: str
    keeper: ModelKeeper
    progress: PullProgress
    rate: PullRate
    outcome: asyncio.Future[bool] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    problem: str = ""

    @property
    def name(self) -> str:
        return f"{self.engine}:{self.model}"

    @property
    def says(self) -> str:
        return self.problem or self.rate.describe(self.progress)


class ModelFetcher:
    """The downloads of this process. ``bar`` makes what shows progress on the terminal."""

    def __init__(self, bar: Callable[[], PullBar] = PullBar) -> None:
        self._bar = bar
        self._waiting: list[Callable[[], Awaitable[None]]] = []
        self._meanwhile: Callable[[Fetch], str] = _nobody_knows
        self._fetches: dict[tuple[str, tuple[str, ...]], Fetch] = {}
        self._queue: asyncio.Queue[Fetch] = asyncio.Queue()
        self._working: asyncio.Task[None] | None = None

    def when_one_arrives(self, waiting: Callable[[], Awaitable[None]]) -> None:
        """Have it awaited after each model that came, before the next one is fetched."""
        self._waiting.append(waiting)

    def tell_meanwhile(self, says: Callable[[Fetch], str]) -> None:
        """Have it asked who serves while a model can't be had."""
        self._meanwhile = says

    def begin(self) -> None:
        """Fetch what was asked for and will be."""
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="models")

    async def close(self) -> None:
        """Stop what is under way."""
        working, self._working = self._working, None
        if working is not None:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    def fetch(
        self, kind: Kind, engine: str, model: str, keeper: ModelKeeper, at: Sequence[str] = ()
    ) -> Fetch:
        """Ask for a model; one that failed before is tried again.

        ``at`` is where it is to be: another server of the same engine needs it for itself.
        """
        progress = PullProgress(model, says="waiting")
        asked = Fetch(kind, engine, model, keeper, progress, PullRate())
        held = self._fetches.get((asked.name, tuple(at)))
        if held is not None and not held.problem:
            return held
        self._fetches[asked.name, tuple(at)] = asked
        self._queue.put_nowait(asked)
        return asked

    @property
    def under_way(self) -> dict[str, str]:
        """What is being fetched and how far it has come, by ``ENGINE:MODEL``."""
        return {
            fetch.name: fetch.says for fetch in self._fetches.values() if not fetch.outcome.done()
        }

    async def _work(self) -> None:
        while True:
            fetch = await self._queue.get()
            is_here = await self._fetch(fetch)
            if is_here:
                await self._tell()
            fetch.outcome.set_result(is_here)

    async def _tell(self) -> None:
        for waiting in self._waiting:
            try:
                await waiting()
            except Exception:
                # The next model must come all the same.
                log.exception("model_not_taken")

    async def _fetch(self, fetch: Fetch) -> bool:
        log.info("model_fetch_started", model=fetch.name)
        bar = self._bar()
        fetch.rate = PullRate()
        try:
            steps = cast("AsyncGenerator[PullProgress]", fetch.keeper.pull(fetch.model))
            async with aclosing(steps):
                async for fetch.progress in steps:
                    fetch.rate.note(fetch.progress)
                    bar.show(fetch.progress)
        except ParleyError as error:
            fetch.problem = str(error)
        except Exception as error:
            # Any package may bring an engine; the other downloads go on.
            fetch.problem = f"{type(error).__name__}: {error}"
        if fetch.problem:
            why = fetch.problem if fetch.problem.endswith((".", "?")) else f"{fetch.problem}."
            told = (
                f"{fetch.name} is missing and could not be fetched: {why}",
                f"Fetch it: parley models pull {fetch.name}.",
                self._meanwhile(fetch),
            )
            bar.finish(" ".join(part for part in told if part))
            log.error("model_fetch_failed", model=fetch.name, error=fetch.problem)
            return False
        bar.finish(f"{fetch.name} is here.")
        log.info("model_fetched", model=fetch.name)
        return True


def _nobody_knows(fetch: Fetch) -> str:
    return ""
