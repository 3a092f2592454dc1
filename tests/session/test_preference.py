"""A way in that prefers certain engines: its calls find them, and nobody else's do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from parley.agents.schema import Agent
from parley.core.call import CallInfo
from parley.core.errors import EngineUnavailable
from parley.engines.spec import Kind
from parley.engines.wish import EngineWish
from parley.rustpbx import rustpbx_preference
from parley.session.preference import Preference, PreferringHost, Variants
from parley.session.turns import Listening
from parley.settings import Settings
from tests.session.fakes import FakeHouse, agent_with

CLOUD: dict[Kind, str] = {"stt": "deepgram", "llm": "openai", "tts": "deepgram"}


def names(agent: Agent) -> dict[Kind, list[str]]:
    return {kind: [wish.name for wish in found] for kind, found in agent.engines.wishes().items()}


@dataclass
class Desk:
    """Keeps what it was asked to prepare; refuses agents that wish for ``refuses``."""

    refuses: str = ""

    def __post_init__(self) -> None:
        self.prepared: list[Agent] = []

    async def prepare(self, agent: Agent) -> None:
        if any(self.refuses in found for found in names(agent).values()):
            raise EngineUnavailable("It is away.")
        self.prepared.append(agent)


def test_they_come_before_auto_and_an_engine_that_was_named_before_stays_before() -> None:
    agent = agent_with(engines={"stt": "auto", "llm": ["ollama", "auto"], "tts": "piper"})

    variant = Preference(CLOUD, "test").of(agent)

    assert names(variant) == {
        "stt": ["deepgram", "auto"],
        "llm": ["ollama", "openai", "auto"],
        "tts": ["piper"],
    }
    assert variant.engines.stt[0] == EngineWish("deepgram")
    assert names(agent)["stt"] == ["auto"]


def test_an_agent_gives_the_same_variant_again_and_a_changed_one_another() -> None:
    preference, agent = Preference(CLOUD, "test"), agent_with()
    first = preference.of(agent)

    assert preference.of(agent) is first
    assert first.key == agent.key and first.variant_key != agent.variant_key
    assert preference.of(agent.model_copy()) is not first


def test_who_prefers_nothing_or_names_all_engines_finds_the_agent_itself() -> None:
    agent = agent_with(engines={"stt": "vosk", "llm": "ollama", "tts": "piper"})

    assert Preference(CLOUD, "test").of(agent) is agent
    assert Preference({}, "test").of(agent_with()).variant_key == agent_with().variant_key


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ({"deepgram_api_key": "k", "openai_api_key": "k"}, ["deepgram", "openai", "deepgram"]),
        ({"openai_api_key": "k"}, ["auto", "openai", "auto"]),
        ({"deepgram_api_key": "k"}, ["deepgram", "auto", "deepgram"]),
        ({}, ["auto", "auto", "auto"]),
    ],
)
def test_on_rustpbx_s_listener_deepgram_and_openai_come_first_where_there_are_keys(
    given: dict[str, str], first: list[str]
) -> None:
    settings = Settings.model_validate({"rustpbx": True, **given})

    variant = rustpbx_preference(settings).of(agent_with())

    assert [found[0] for found in names(variant).values()] == first
    closed = Settings.model_validate({"rustpbx": False, **given})
    assert names(rustpbx_preference(closed).of(agent_with()))["stt"] == ["auto"]


async def test_an_agent_is_prepared_for_both_ways_in() -> None:
    desk, agent = Desk(refuses="none"), agent_with()
    variants = Variants(desk, Preference(CLOUD, "test"))

    await variants.prepare(agent)
    await variants.prepare_all([agent_with(engines={"stt": "a", "llm": "b", "tts": "c"})])

    assert [names(each)["stt"] for each in desk.prepared] == [["auto"], ["deepgram", "auto"]]


async def test_what_one_way_in_can_not_have_keeps_the_agent_from_nobody_else() -> None:
    desk, agent = Desk(refuses="deepgram"), agent_with()

    await Variants(desk, Preference(CLOUD, "test")).prepare(agent)

    assert desk.prepared == [agent]
    with pytest.raises(EngineUnavailable):
        await Variants(Desk(refuses="auto"), Preference(CLOUD, "test")).prepare(agent)


@pytest.fixture
async def house(listening: Listening) -> AsyncIterator[FakeHouse]:
    yield FakeHouse(listening)


async def test_a_call_by_that_way_has_the_variant_and_one_by_another_has_not(
    house: FakeHouse,
) -> None:
    async with house.host() as host:
        by_that_way = PreferringHost(host, Preference(CLOUD, "test"))

        ours = by_that_way.admit(CallInfo(agent="", transport="rustpbx"))
        other = host.admit(CallInfo(agent="", transport="webrtc"))

        assert names(ours.agent)["stt"] == ["deepgram", "auto"]
        assert names(other.agent)["stt"] == ["auto"]
        assert by_that_way.agent("", "default") is ours.agent
        assert host.live_calls == 2
        ours.release()
        other.release()
