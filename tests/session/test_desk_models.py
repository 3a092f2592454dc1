"""An agent whose engine can't begin yet: who serves in its place, and what callers are told."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest

from parley.agents.catalog import AgentCatalog
from parley.agents.schema import Agent
from parley.core.errors import EngineFailed, EngineUnavailable, ModelMissing, NotFound, NotReady
from parley.engines.catalog import EngineCatalog
from parley.engines.fetching import ModelFetcher
from parley.engines.found import engines_from
from parley.engines.keeper import Model, PullProgress
from parley.engines.progress import PullBar
from parley.engines.spec import EngineSpec, Kind, Status
from parley.session.desk import Desk
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.tools.catalog import ToolCatalog
from tests.engines.fakes import FakeOptions
from tests.session.fakes import agent_with

MODEL = "llama3.2:3b"
LONG_S = 3600.0


class Ears(FakeTranscriber):
    """Answers every check; may have no memory left to load its model."""

    can_start = True

    async def warm_up(self) -> None:
        if not self.can_start:
            raise RuntimeError("out of memory")


class Mind(FakeChatter):
    """Has no model at first; fetching it works as soon as ``has_network``."""

    def __init__(self) -> None:
        super().__init__(lambda _: "Yes.")
        self.has_model = False
        self.has_network = False
        self.pulls = 0
        self.failed = asyncio.Event()

    async def check(self) -> Status:
        missing = "" if self.has_model else MODEL
        return Status(self.has_model, f"no model {missing}" if missing else "", "", missing)

    async def models(self) -> Sequence[Model]:
        return [Model(MODEL, is_present=self.has_model)]

    async def pull(self, model: str) -> AsyncGenerator[PullProgress]:
        self.pulls += 1
        if not self.has_network:
            self.failed.set()
            raise EngineUnavailable("no such host")
        self.has_model = True
        yield PullProgress(model, 1, 1)

    async def remove(self, model: str) -> None:
        self.has_model = False


@dataclass
class Agents:
    """The agents of the house; the first is the default one."""

    agents: Sequence[Agent]

    @property
    def default_name(self) -> str:
        return self.agents[0].name

    def all(self) -> Sequence[Agent]:
        return self.agents

    def of(self, tenant: str) -> Sequence[Agent]:
        return self.agents

    def get(self, name: str = "") -> Agent:
        for agent in self.agents:
            if name in ("", agent.name):
                return agent
        raise NotFound(f"There is no agent {name!r}.")

    def file_of(self, agent: Agent) -> None:
        """They were never written down."""


class House:
    """A desk over engines that a test can reach into."""

    def __init__(self, *agents: Agent, pause_s: float = LONG_S) -> None:
        self.ears, self.spare, self.mind = Ears(), Ears(), Mind()
        specs = [
            _spec("stt", "whisper", self.ears),
            _spec("stt", "builtin", self.spare),
            _spec("llm", "ollama", self.mind),
            _spec("llm", "scripted", FakeChatter(lambda _: "Yes."), is_language_model=False),
            _spec("tts", "builtin", FakeSynthesizer()),
        ]
        self.fetcher = ModelFetcher(lambda: PullBar(io.StringIO()), first_pause_s=pause_s)
        self.catalog = EngineCatalog(engines_from(specs), {}, fetcher=self.fetcher)
        self.desk = Desk(cast(AgentCatalog, Agents(agents)), self.catalog, ToolCatalog())


def _spec(kind: Kind, name: str, engine: Any, *, is_language_model: bool = True) -> EngineSpec[Any]:
    return EngineSpec(
        kind=kind,
        name=name,
        options=FakeOptions,
        open=lambda _: engine,
        summary=name,
        available=lambda _: True,
        is_language_model=is_language_model,
    )


@asynccontextmanager
async def house(*agents: Agent, pause_s: float = LONG_S) -> AsyncIterator[House]:
    opened = House(*agents, pause_s=pause_s)
    try:
        yield opened
    finally:
        await opened.catalog.close()


def talker(name: str = "ada", **engines: object) -> Agent:
    return agent_with(name=name, engines={"llm": "scripted", **engines})


# ── an engine that answers and can't start ───────────────────────────────────────────────────


async def test_an_engine_that_cannot_start_is_passed_over_for_one_that_stands_by() -> None:
    agent = talker(stt=["whisper", "builtin"])
    async with house(agent) as at:
        at.ears.can_start = False

        await at.desk.warm_up()
        about = (await at.desk.describe_agents("default"))[0]
        table = at.catalog.table()

    assert about["engines"]["stt"] == "builtin"
    assert "passed over: whisper (The stt engine whisper can't start: out of memory)" in table


async def test_a_standby_that_was_never_needed_before_takes_over_at_the_start() -> None:
    agent = agent_with(name="ada")
    async with house(agent) as at:
        at.mind.has_model = True
        at.mind.warm_up = _out_of_memory  # type: ignore[method-assign]

        await at.desk.warm_up()
        about = (await at.desk.describe_agents("default"))[0]

    assert about["engines"]["llm"] == "scripted"


async def test_an_engine_that_cannot_start_and_is_alone_refuses_the_start_with_its_reason() -> None:
    async with house(talker(stt="whisper")) as at:
        at.ears.can_start = False

        with pytest.raises(EngineUnavailable, match=r"whisper can't start: out of memory"):
            await at.desk.warm_up()


async def test_an_engine_that_could_not_start_is_tried_again_for_the_next_agent() -> None:
    agent = talker(stt=["whisper", "builtin"])
    async with house(agent) as at:
        at.ears.can_start = False
        await at.desk.warm_up()
        at.ears.can_start = True

        await at.desk.prepare(agent)
        about = (await at.desk.describe_agents("default"))[0]

    assert about["engines"]["stt"] == "whisper"


async def _out_of_memory() -> None:
    raise EngineFailed("out of memory")


# ── a model that can't be had ────────────────────────────────────────────────────────────────


async def test_calls_are_refused_with_the_reason_while_a_model_cannot_be_had() -> None:
    agent = talker(llm="ollama")
    async with house(agent) as at:
        await at.desk.warm_up()
        await at.mind.failed.wait()
        for _ in range(3):
            about = (await at.desk.describe_agents("default"))[0]

        with pytest.raises(NotReady) as caught:
            at.desk.require_ready(agent)

    assert "no such host" in caught.value.message
    assert "tried again in" in caught.value.message
    assert caught.value.retry_after_s > 0
    assert about["problem"] == str(caught.value)
    assert at.mind.pulls == 1


async def test_an_agent_is_ready_once_a_later_try_has_brought_its_model() -> None:
    agent = talker(llm="ollama")
    async with house(agent, pause_s=0.01) as at:
        await at.desk.warm_up()
        await at.mind.failed.wait()
        arrived = _arrival(at.fetcher)
        at.mind.has_network = True
        await arrived.wait()

        at.desk.require_ready(agent)
        about = (await at.desk.describe_agents("default"))[0]

    assert about["engines"]["llm"] == "ollama"


async def test_an_agent_that_is_broken_in_another_way_is_not_told_to_wait_for_a_model() -> None:
    waiting, broken = talker("ada", llm="ollama"), talker("bob", stt="whisper")
    async with house(waiting, broken) as at:
        at.ears.can_start = False
        await at.desk.warm_up()

        at.desk.require_ready(broken)
        with pytest.raises(EngineUnavailable, match="out of memory") as caught:
            await at.desk.engines_for(broken, "")

    assert not isinstance(caught.value, ModelMissing)


async def test_the_script_leaves_the_table_when_the_model_has_come() -> None:
    agent = agent_with(name="ada")
    async with house(agent) as at:
        at.mind.has_network = True
        arrived = _arrival(at.fetcher)
        await at.desk.warm_up()
        before = _thinkers(at.catalog)
        await arrived.wait()
        after = _thinkers(at.catalog)

    assert before == ["scripted"]
    assert after == ["ollama"]


def _thinkers(catalog: EngineCatalog) -> list[str]:
    return [row.engine for row in catalog.rows() if row.kind == "llm"]


def _arrival(fetcher: ModelFetcher) -> asyncio.Event:
    """Set when a model has come and all that wait for one have taken it."""
    arrived = asyncio.Event()

    async def note() -> None:
        arrived.set()

    fetcher.when_one_arrives(note)
    return arrived
