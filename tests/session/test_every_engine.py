"""Every engine in a whole call: the caller's sound in, words, an answer, sound out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from parley.agents.catalog import AgentCatalog
from parley.core.bus import Bus
from parley.core.call import CallInfo
from parley.engines.catalog import EngineCatalog
from parley.engines.choice import AUTO_ORDER, LAST
from parley.engines.found import FoundEngines, find_engines
from parley.engines.spec import Kind
from parley.engines.speech_cache.cache import speech_cache
from parley.session.desk import Desk
from parley.session.host import SessionHost
from parley.session.house import House
from parley.session.turns import Listening
from parley.settings import Settings, engine_values, load_settings
from parley.testing.transport import FakeTransport
from parley.tools.catalog import ToolCatalog
from tests.caller_voice import CallerVoice
from tests.engines.servers import orpheus_talker
from tests.session import mouths, stages
from tests.session.mouths import Mouth
from tests.session.stages import QUESTION, Ear, Mind

CALL_LIMIT_S = 20.0
SPEECH_MS = 1000
LOUD = 1000

Opens = Callable[[Path], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True)
class Trio:
    """The engines of one call by name, and what opens each."""

    stt: tuple[str, Opens]
    llm: tuple[str, Opens]
    tts: tuple[str, Opens]

    @property
    def names(self) -> dict[str, str]:
        return {"stt": self.stt[0], "llm": self.llm[0], "tts": self.tts[0]}


VLLM = mouths.orpheus_mouth("vllm", orpheus_talker.VllmServer)
ON_LLAMA_CPP = mouths.orpheus_mouth("llama_cpp", orpheus_talker.LlamaCppServer)
ON_OLLAMA = mouths.orpheus_mouth("ollama", orpheus_talker.OllamaServer, model="orpheus")

TRIOS = (
    Trio(
        ("vosk", stages.vosk_ear),
        ("llama_cpp", stages.llama_cpp_mind),
        ("piper", mouths.piper_mouth),
    ),
    Trio(
        ("speaches", stages.speaches_ear),
        ("ollama", stages.ollama_mind),
        ("speaches", mouths.speaches_mouth),
    ),
    Trio(
        ("openai", stages.openai_ear),
        ("openai", stages.openai_mind),
        ("openai", mouths.openai_mouth),
    ),
    Trio(
        ("deepgram", stages.deepgram_ear),
        ("llama_cpp", stages.llama_socket_mind),
        ("deepgram", mouths.deepgram_mouth),
    ),
    Trio(
        ("wyoming", stages.wyoming_ear),
        ("llama", stages.llama_mind),
        ("wyoming", mouths.wyoming_mouth),
    ),
    Trio(
        ("builtin", stages.builtin_ear),
        ("scripted", stages.scripted_mind),
        ("builtin", mouths.builtin_mouth),
    ),
    Trio(
        ("whisper", stages.whisper_ear),
        ("ollama", stages.ollama_mind),
        ("kokoro", mouths.kokoro_mouth),
    ),
    Trio(
        ("moonshine", stages.moonshine_ear),
        ("llama_cpp", stages.llama_cpp_mind),
        ("piper", mouths.piper_socket_mouth),
    ),
    Trio(("vosk", stages.vosk_ear), ("ollama", stages.ollama_mind), ("orpheus", VLLM)),
    Trio(
        ("wyoming", stages.wyoming_ear),
        ("openai", stages.openai_mind),
        ("orpheus", ON_LLAMA_CPP),
    ),
    Trio(
        ("deepgram", stages.deepgram_ear),
        ("llama_cpp", stages.llama_cpp_mind),
        ("orpheus", ON_OLLAMA),
    ),
)


@dataclass(frozen=True)
class Heard:
    """What one call came to."""

    names: tuple[str, ...]
    transcript: str
    answer: str
    loudest: int
    ended: str


@pytest.fixture(scope="module")
def question() -> bytes:
    pytest.importorskip("espeakng_loader", reason="the caller's voice, extra espeak, is missing")
    return asyncio.run(CallerVoice()(QUESTION))


@pytest.mark.parametrize("trio", TRIOS, ids=lambda trio: "-".join(trio.names.values()))
async def test_a_question_is_heard_answered_and_spoken(
    trio: Trio, question: bytes, listening: Listening, tmp_path: Path, monkeypatch: Any
) -> None:
    async with AsyncExitStack() as servers:
        ear, mind, mouth = [
            await servers.enter_async_context(opens(_made(tmp_path / kind)))
            for kind, (_, opens) in zip(("ear", "mind", "mouth"), _opening(trio), strict=True)
        ]
        for name, value in {**ear.settings, **mind.settings, **mouth.settings}.items():
            monkeypatch.setenv(name, value)
        settings = _settings(tmp_path, monkeypatch, trio, (ear, mind, mouth))

        async with _host(settings, listening, _found(trio, ear)) as (host, engines):
            heard = await _call(host, question)

        assert engines == trio.names
        _assert_each_did_its_work(ear, mind, mouth, heard)


def test_every_engine_that_ships_has_its_call() -> None:
    kinds: tuple[Kind, ...] = ("stt", "llm", "tts")
    shipped = {(kind, name) for kind in kinds for name in (*AUTO_ORDER[kind], LAST[kind])}
    shipped |= {("stt", "wyoming"), ("tts", "wyoming")}

    called = {(kind, trio.names[kind]) for trio in TRIOS for kind in kinds}

    assert called == shipped
    assert {(spec.kind, spec.name) for spec in find_engines().all()} >= shipped


def _assert_each_did_its_work(ear: Ear, mind: Mind, mouth: Mouth, heard: Heard) -> None:
    assert ear.words in heard.transcript
    assert mind.says in heard.answer
    assert heard.loudest > LOUD
    assert heard.ended == "caller"
    assert not {"call_failed", "engine_replaced"} & set(heard.names)
    if ear.sound_ms is not None:
        assert ear.sound_ms() > SPEECH_MS
    if mind.asked is not None:
        assert heard.transcript in str(mind.asked()[-1])
    if mouth.texts is not None:
        assert any(_words(mind.says) in _words(text) for text in mouth.texts())


def _words(text: str) -> str:
    """A text without what is written differently for speaking."""
    return "".join(letter for letter in text.casefold() if letter.isalpha())


def _opening(trio: Trio) -> list[tuple[str, Opens]]:
    return [trio.stt, trio.llm, trio.tts]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch, trio: Trio, parts: tuple[Any, Any, Any]
) -> Settings:
    """Engines without options are chosen by settings, those with options by the agent's file."""
    engines: dict[str, Any] = {}
    for kind, (name, _), part in zip(("stt", "llm", "tts"), _opening(trio), parts, strict=True):
        if part.options:
            engines[kind] = {"engine": name, **part.options}
        else:
            monkeypatch.setenv(f"PARLEY_{kind.upper()}", name)
    agent = {
        "greeting": "Hello.",
        "goodbye": "",
        "instructions": "You are brief.",
        "engines": engines,
    }
    _made(folder / "agents").joinpath("tester.yaml").write_text(yaml.safe_dump(agent))
    monkeypatch.setenv("PARLEY_AGENTS_DIR", str(folder / "agents"))
    monkeypatch.setenv("PARLEY_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("PARLEY_AGENT", "tester")
    return load_settings(env_file=folder / ".env")


def _found(trio: Trio, ear: Ear) -> FoundEngines:
    """The installed engines; one whose library has no model here is opened with a stand-in."""
    found = find_engines()
    if ear.open is None:
        return found
    name = trio.stt[0]
    hearing = {**found.of("stt"), name: replace(found.of("stt")[name], open=ear.open)}
    return FoundEngines({**found.specs, "stt": hearing}, found.broken)


@asynccontextmanager
async def _host(
    settings: Settings, listening: Listening, found: FoundEngines
) -> AsyncIterator[tuple[SessionHost, dict[str, str]]]:
    """A host whose only agent is ready, and the engines that were chosen, by kind."""
    agents = AgentCatalog.from_settings(settings)
    agents.load()
    values = engine_values(settings, found.environment_names)
    catalog = EngineCatalog(found, values, speech=speech_cache(settings))
    desk = Desk(agents, catalog, ToolCatalog())
    try:
        await desk.prepare(agents.get())
        async with Bus() as bus:
            house = House(bus, agents, desk, desk, listening)
            async with SessionHost(house, max_calls=1) as host:
                yield host, {row.kind: row.engine for row in catalog.rows()}
    finally:
        await catalog.close()


async def _call(host: SessionHost, question: bytes) -> Heard:
    line = FakeTransport()
    host.start(host.admit(CallInfo(agent="", transport="fake")), line)
    async with asyncio.timeout(CALL_LIMIT_S):
        await _until(line, "turn_ended")
        greeted, greeting = len(line.events), len(line.heard)
        await line.speak(question)
        await _until(line, "turn_ended", greeted)
        line.leave()
        ended = await _until(line, "call_ended", greeted)
    events = line.events[greeted:]
    return Heard(
        names=tuple(event.name for event in events),
        transcript=" ".join(e.text for e in events if e.name == "user_transcript" and e.final),
        answer="".join(event.text for event in events if event.name == "agent_text"),
        loudest=int(np.abs(np.frombuffer(line.heard[greeting:], np.int16).astype(int)).max()),
        ended=ended.reason,
    )


async def _until(line: FakeTransport, name: str, start: int = 0) -> Any:
    async for _, event in line.events_from(start):
        if event.name == name:
            return event
    raise AssertionError("events never end")
