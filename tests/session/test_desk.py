"""What an agent says of itself reaches the engines of its calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parley.agents.catalog import AgentCatalog
from parley.core.audio import Audio
from parley.engines.catalog import EngineCatalog
from parley.session.desk import Desk
from parley.settings import load_settings
from parley.tools.catalog import ToolCatalog
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.session.fakes import agent_with

BUILT_IN = {"stt": "builtin", "llm": "scripted", "tts": "builtin"}


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    settings = load_settings(env_file=tmp_path / ".env")
    catalog = EngineCatalog.from_settings(settings)
    yield Desk(AgentCatalog.from_settings(settings), catalog, ToolCatalog())
    await catalog.close()


async def utterance(text: str) -> AsyncIterator[Audio]:
    pcm = bytes(CALLER_HZ) + await CallerVoice()(text) + bytes(CALLER_HZ)
    for at in range(0, len(pcm), 640):
        yield Audio(pcm[at : at + 640], CALLER_HZ)


async def test_the_built_in_recogniser_hears_an_agent_s_wake_phrase(desk: Desk):
    agent = agent_with(engines=BUILT_IN, turn_taking={"wake_phrases": ["Hey Parley"]})
    engines = await desk.engines_for(agent, "")

    heard = engines.stt.transcribe(
        utterance("hey parley, what are your opening hours"), engines.hearing
    )
    texts = [part.text async for part in heard if part.final]

    # The little words of a synthetic voice are anybody's guess.
    (text,) = texts
    assert text.startswith("hey parley what are ")
    assert text.endswith("opening hours")


async def test_the_script_reckons_with_days_in_the_agent_s_time_zone(desk: Desk):
    agent = agent_with(engines=BUILT_IN, time_zone="Asia/Tokyo")

    engines = await desk.engines_for(agent, "")

    assert engines.thinking.time_zone == "Asia/Tokyo"
    assert "woken" not in engines.hearing.grammar


async def test_an_agent_s_recordings_lie_beside_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    for folder in ("agents", "agents/tenants/acme"):
        (tmp_path / folder / "recordings").mkdir(parents=True)
        name = folder.rpartition("/")[2]
        (tmp_path / folder / f"{name}.yaml").write_text("tools: [recordings]\n")
        (tmp_path / folder / "recordings" / f"{name}.wav").write_bytes(b"")
    settings = load_settings(env_file=tmp_path / ".env")
    agents = AgentCatalog.from_settings(settings)
    agents.load()
    catalog = EngineCatalog.from_settings(settings)
    desk = Desk(agents, catalog, ToolCatalog())

    found = {
        agent.name: desk.tools_for(agent, "acme")[0].parameters["properties"]["name"]["enum"]
        for agent in agents.of("acme")
        if agent.name in ("agents", "acme")
    }

    await catalog.close()
    assert found == {"agents": ["agents.wav"], "acme": ["acme.wav"]}
