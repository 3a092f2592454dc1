"""Fetches models that are missing, in the background, one after the other, each once.

Nothing is fetched before ``begin()``: at a start, who serves meanwhile must be settled first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.engines.keeper import ModelKeeper, PullProgress
from parley.engines.progress import PullBar, PullRate, human_time
from parley.engines.spec import Kind

log = get_logger(__name__)

FIRST_PAUSE_S = 30.0
LONGEST_PAUSE_S = 900.0
MOST_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class Missing:
    """A model that an engine lacks. ``at`` is where: another server needs it for itself."""

    kind: Kind
    engine: str
    model: str
    at: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.engine}:{self.model}"


@dataclass(eq=False)
class Fetch:
    """One model on its way. ``outcome`` is that of the next try to end: it is here, or not yet.

    ``problem`` is why the last try failed, while the next one is waited for.
    """

    missing: Missing
    keeper: ModelKeeper
    is_missing: Callable[[], Awaitable[bool]]
    progress: PullProgress
    rate: PullRate = field(default_factory=PullRate)
    outcome: asyncio.Future[bool] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    problem: str = ""
    failures: int = 0

    @property
    def says(self) -> str:
        return self.problem or self.rate.describe(self.progress)


class ModelFetcher:
    """The downloads of this process. ``bar`` makes what shows progress on the terminal.

    One that fails is tried again after ``first_pause_s``, and then after twice as long each time.
    """

    def __init__(
        self, bar: Callable[[], PullBar] = PullBar, *, first_pause_s: float = FIRST_PAUSE_S
    ) -> None:
        self._bar = bar
        self._first_pause_s = first_pause_s
        self._waiting: list[Callable[[], Awaitable[None]]] = []
        self._meanwhile: Callable[[Missing], str] = _nobody_knows
        self._fetches: dict[Missing, Fetch] = {}
        self._queue: asyncio.Queue[Fetch] = asyncio.Queue()
        self._pauses: set[asyncio.TimerHandle] = set()
        self._working: asyncio.Task[None] | None = None

    def when_one_arrives(self, waiting: Callable[[], Awaitable[None]]) -> None:
        """Have it awaited after each model that came, before the next one is fetched."""
        self._waiting.append(waiting)

    def tell_meanwhile(self, says: Callable[[Missing], str]) -> None:
        """Have it asked who serves while a model can't be had."""
        self._meanwhile = says

    def begin(self) -> None:
        """Fetch what was asked for and will be."""
        if self._working is None:
            self._working = begin(self._work(), "models")

    async def close(self) -> None:
        """Stop what is under way."""
        for pause in self._pauses:
            pause.cancel()
        working, self._working = self._working, None
        if working is not None:
            await end(working)

    def fetch(
        self, missing: Missing, keeper: ModelKeeper, is_missing: Callable[[], Awaitable[bool]]
    ) -> Fetch:
        """Ask for a model; asking again while it is on its way, or waits for its next try,
        changes nothing. ``is_missing`` asks the engine itself."""
        held = self._fetches.get(missing)
        if held is not None:
            return held
        asked = Fetch(missing, keeper, is_missing, PullProgress(missing.model, says="waiting"))
        self._fetches[missing] = asked
        self._queue.put_nowait(asked)
        return asked

    @property
    def under_way(self) -> dict[str, str]:
        """What is being fetched and how far it has come, or why it could not be and is tried
        again, by ``ENGINE:MODEL``."""
        return {missing.name: fetch.says for missing, fetch in self._fetches.items()}

    async def _work(self) -> None:
        while True:
            fetch = await self._queue.get()
            is_here = await self._fetch(fetch)
            if is_here:
                await self._tell()
                del self._fetches[fetch.missing]
            else:
                self._try_later(fetch)
            ended, fetch.outcome = fetch.outcome, asyncio.get_running_loop().create_future()
            ended.set_result(is_here)

    def _try_later(self, fetch: Fetch) -> None:
        loop = asyncio.get_running_loop()
        pause = loop.call_later(self._pause_s(fetch), self._queue.put_nowait, fetch)
        now_s = loop.time()
        self._pauses = {each for each in self._pauses if each.when() > now_s} | {pause}

    def _pause_s(self, fetch: Fetch) -> float:
        doubled = min(fetch.failures - 1, MOST_DOUBLINGS)
        return min(self._first_pause_s * 2**doubled, LONGEST_PAUSE_S)

    async def _tell(self) -> None:
        for waiting in self._waiting:
            try:
                await waiting()
            except Exception:
                # The next model must come all the same.
                log.exception("model_not_taken")

    async def _fetch(self, fetch: Fetch) -> bool:
        name, bar = fetch.missing.name, self._bar()
        # Somebody may have brought it in the meantime.
        if fetch.failures and not await fetch.is_missing():
            bar.finish(f"{name} is here.")
            return True
        log.info("model_fetch_started", model=name)
        fetch.problem = await self._pull(fetch, bar)
        if not fetch.problem and await fetch.is_missing():
            fetch.problem = "It was fetched, and the engine still lacks it."
        if not fetch.problem:
            bar.finish(f"{name} is here.")
            log.info("model_fetched", model=name)
            return True
        fetch.failures += 1
        log.error("model_fetch_failed", model=name, error=fetch.problem, tries=fetch.failures)
        why = fetch.problem if fetch.problem.endswith((".", "?")) else f"{fetch.problem}."
        again = f"It is tried again in {human_time(self._pause_s(fetch))}."
        fetch.problem = f"{name} is missing and could not be fetched: {why} {again}"
        told = (
            fetch.problem,
            f"Fetch it: parley models pull {name}.",
            self._meanwhile(fetch.missing),
        )
        bar.finish(" ".join(part for part in told if part))
        return False

    async def _pull(self, fetch: Fetch, bar: PullBar) -> str:
        """What went wrong; "" when all went well."""
        fetch.problem = ""
        fetch.rate = PullRate()
        try:
            steps = cast("AsyncGenerator[PullProgress]", fetch.keeper.pull(fetch.missing.model))
            async with aclosing(steps):
                async for fetch.progress in steps:
                    fetch.rate.note(fetch.progress)
                    bar.show(fetch.progress)
        except ParleyError as error:
            return str(error)
        except Exception as error:
            # Any package may bring an engine; the other downloads go on.
            return f"{type(error).__name__}: {error}"
        return ""


def _nobody_knows(missing: Missing) -> str:
    return ""
