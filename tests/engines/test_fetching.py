"""Models that are missing are fetched in the background, each once."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from parley.core.errors import EngineUnavailable
from parley.engines.fetching import ModelFetcher
from parley.engines.progress import PullBar
from parley.engines.spec import Model, PullProgress


class Keeper:
    """Holds every download until it is let go."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.pulled: list[str] = []
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()
        self.was_closed = False

    async def models(self) -> Sequence[Model]:
        return ()

    async def pull(self, model: str) -> AsyncIterator[PullProgress]:
        self.pulled.append(model)
        try:
            yield PullProgress(model, 10, 100)
            self.begun.set()
            await self.let_go.wait()
            if self.fails:
                raise EngineUnavailable("No network.")
            yield PullProgress(model, 100, 100)
        finally:
            self.was_closed = True

    async def remove(self, model: str) -> None:
        raise AssertionError("nobody asked for that")


def quiet_bar() -> PullBar:
    return PullBar(io.StringIO())


@asynccontextmanager
async def fetching(arrived: Callable[[], Awaitable[None]]) -> AsyncIterator[ModelFetcher]:
    fetcher = ModelFetcher(quiet_bar)
    fetcher.when_one_arrives(arrived)
    fetcher.begin()
    try:
        yield fetcher
    finally:
        await fetcher.close()


async def test_a_model_that_many_ask_for_is_fetched_once_and_then_told() -> None:
    arrivals: list[bool] = []

    async def arrived() -> None:
        arrivals.append(True)

    keeper = Keeper()
    async with fetching(arrived) as fetcher:
        first = fetcher.fetch("llm", "ollama", "llama3.2:3b", keeper)
        second = fetcher.fetch("llm", "ollama", "llama3.2:3b", keeper)
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


async def test_one_that_failed_is_told_and_can_be_asked_for_again() -> None:
    async def arrived() -> None:
        raise AssertionError("it never came")

    keeper = Keeper(fails=True)
    keeper.let_go.set()
    async with fetching(arrived) as fetcher:
        fetch = fetcher.fetch("llm", "ollama", "m", keeper)
        is_here = await fetch.outcome
        again = fetcher.fetch("llm", "ollama", "m", keeper)
        await again.outcome

    assert not is_here
    assert "No network." in fetch.says
    assert keeper.pulled == ["m", "m"]


async def test_closing_the_house_stops_a_download() -> None:
    async def arrived() -> None:
        raise AssertionError("it never came")

    keeper = Keeper()
    async with fetching(arrived) as fetcher:
        fetcher.fetch("llm", "ollama", "m", keeper)
        await keeper.begun.wait()

    assert keeper.was_closed
