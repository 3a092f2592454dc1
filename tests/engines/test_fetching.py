"""Models that are missing are fetched in the background, each once."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from parley.core.errors import EngineUnavailable
from parley.engines.fetching import Fetch, Missing, ModelFetcher
from parley.engines.keeper import Model, PullProgress
from parley.engines.progress import PullBar

MODEL = Missing("llm", "ollama", "llama3.2:3b")
LONG_S = 30.0


class Keeper:
    """Holds every download until it is let go. What it fetched it has, unless it ``forgets``."""

    def __init__(self, *, fails: int = 0, forgets: bool = False) -> None:
        self.fails = fails
        self.forgets = forgets
        self.has_model = False
        self.pulled: list[str] = []
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()
        self.was_closed = False

    async def is_missing(self) -> bool:
        return not self.has_model

    async def models(self) -> Sequence[Model]:
        return ()

    async def pull(self, model: str) -> AsyncIterator[PullProgress]:
        self.pulled.append(model)
        try:
            yield PullProgress(model, 10, 100)
            self.begun.set()
            await self.let_go.wait()
            if len(self.pulled) <= self.fails:
                raise EngineUnavailable("No network.")
            yield PullProgress(model, 100, 100)
            self.has_model = not self.forgets
        finally:
            self.was_closed = True

    async def remove(self, model: str) -> None:
        raise AssertionError("nobody asked for that")


def quiet_bar() -> PullBar:
    return PullBar(io.StringIO())


@asynccontextmanager
async def fetching(
    arrived: Callable[[], Awaitable[None]], *, pause_s: float = LONG_S
) -> AsyncIterator[ModelFetcher]:
    fetcher = ModelFetcher(quiet_bar, first_pause_s=pause_s)
    fetcher.when_one_arrives(arrived)
    fetcher.begin()
    try:
        yield fetcher
    finally:
        await fetcher.close()


def asked_of(fetcher: ModelFetcher, keeper: Keeper) -> Fetch:
    return fetcher.fetch(MODEL, keeper, keeper.is_missing)


async def never() -> None:
    raise AssertionError("it never came")


async def test_a_model_that_many_ask_for_is_fetched_once_and_then_told() -> None:
    arrivals: list[bool] = []

    async def arrived() -> None:
        arrivals.append(True)

    keeper = Keeper()
    async with fetching(arrived) as fetcher:
        first = asked_of(fetcher, keeper)
        second = asked_of(fetcher, keeper)
        await keeper.begun.wait()
        while_it_runs = fetcher.under_way
        keeper.let_go.set()
        is_here = await first.outcome

    assert first is second
    assert is_here
    assert arrivals == [True]
    assert keeper.pulled == ["llama3.2:3b"]
    assert "10 %" in while_it_runs["ollama:llama3.2:3b"]
    assert fetcher.under_way == {}


async def test_one_that_failed_is_told_with_its_reason_and_not_tried_again_at_once() -> None:
    keeper = Keeper(fails=1)
    keeper.let_go.set()
    async with fetching(never) as fetcher:
        fetch = asked_of(fetcher, keeper)
        is_here = await fetch.outcome
        again = asked_of(fetcher, keeper)
        says = fetcher.under_way["ollama:llama3.2:3b"]

    assert not is_here
    assert again is fetch
    assert "could not be fetched: No network. It is tried again in 30 s." in says
    assert keeper.pulled == ["llama3.2:3b"]


async def test_one_that_failed_is_tried_again_by_itself_until_it_comes() -> None:
    arrived = asyncio.Event()

    async def arrives() -> None:
        arrived.set()

    keeper = Keeper(fails=2)
    keeper.let_go.set()
    async with fetching(arrives, pause_s=0.01) as fetcher:
        asked_of(fetcher, keeper)
        await arrived.wait()

    assert keeper.pulled == ["llama3.2:3b"] * 3


async def test_what_somebody_brought_in_the_meantime_is_not_fetched_again() -> None:
    arrived = asyncio.Event()

    async def arrives() -> None:
        arrived.set()

    keeper = Keeper(fails=1)
    keeper.let_go.set()
    async with fetching(arrives, pause_s=0.01) as fetcher:
        fetch = asked_of(fetcher, keeper)
        await fetch.outcome
        keeper.has_model = True
        await arrived.wait()

    assert keeper.pulled == ["llama3.2:3b"]


async def test_a_model_that_is_still_missing_after_its_download_has_not_come() -> None:
    keeper = Keeper(forgets=True)
    keeper.let_go.set()
    async with fetching(never) as fetcher:
        fetch = asked_of(fetcher, keeper)
        is_here = await fetch.outcome

    assert not is_here
    assert "the engine still lacks it" in fetch.says


async def test_a_model_that_was_fetched_and_removed_can_be_fetched_again() -> None:
    async def arrived() -> None:
        return None

    keeper = Keeper()
    keeper.let_go.set()
    async with fetching(arrived) as fetcher:
        await asked_of(fetcher, keeper).outcome
        keeper.has_model = False
        is_here = await asked_of(fetcher, keeper).outcome

    assert is_here
    assert keeper.pulled == ["llama3.2:3b"] * 2


async def test_closing_the_house_stops_a_download() -> None:
    keeper = Keeper()
    async with fetching(never) as fetcher:
        asked_of(fetcher, keeper)
        await keeper.begun.wait()

    assert keeper.was_closed
