"""An engine that fails in the middle of a call: the caller hears a reply in the same turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from parley.core.audio import Resampler
from parley.core.errors import EngineFailed
from parley.core.events import EngineReplaced, TurnEnded
from parley.engines.spec import Delta, Kind, SpeechOptions
from parley.engines.tts.builtin import BuiltinSpeech, BuiltinSpeechOptions
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.faults import Fault
from parley.testing.speech import FakeSynthesizer
from tests.engines.fallback.chains import FAULTS, chain_of
from tests.session.fakes import AGENT, FakeHouse, LiveCall, agent_with, start_call

TIMES = {"first_ms": 400, "gap_ms": 250, "patience_ms": 3000}
IMPATIENT = {"stt": TIMES, "llm": TIMES, "tts": TIMES}
REPLY = "We open at nine."


def letters(_: Any) -> Sequence[Delta]:
    return [Delta(text=letter) for letter in REPLY]


def faulty(kind: Kind, fault: Fault) -> Any:
    engines: dict[Kind, Any] = {
        "stt": FakeTranscriber("wrong", fault=fault),
        "llm": FakeChatter(letters, fault=fault),
        "tts": FakeSynthesizer(word_ms=60, piece_ms=20, fault=fault),
    }
    return engines[kind]


def sound_one(kind: Kind) -> Any:
    engines: dict[Kind, Any] = {
        "stt": FakeTranscriber("when do you open", "and when do you close"),
        "llm": FakeChatter(lambda _: REPLY),
        "tts": FakeSynthesizer(word_ms=60, piece_ms=20),
    }
    return engines[kind]


def furnish(house: FakeHouse, **chains: Any) -> None:
    """Sound engines, but for those that are given."""
    house.agents = [agent_with(greeting="", limits=IMPATIENT)]
    for kind in ("stt", "llm", "tts"):
        setattr(house, kind, chains.get(kind) or sound_one(kind))


@pytest.fixture(scope="session")
def question() -> bytes:
    """A caller's voice, s16le at 16 kHz."""
    return asyncio.run(spoken_question())


async def spoken_question() -> bytes:
    speech = BuiltinSpeech(BuiltinSpeechOptions())
    spoken, resampler = b"", None
    async for piece in speech.synthesize("When do you open?", SpeechOptions(voice="en-us+f3")):
        resampler = resampler or Resampler(piece.rate_hz, 16_000)
        spoken += resampler.push(piece.pcm)
    await speech.close()
    return spoken + (resampler.flush() if resampler else b"")


async def replaced(call: LiveCall) -> EngineReplaced:
    event = await call.until("engine_replaced")
    assert isinstance(event, EngineReplaced)
    return event


async def turn(call: LiveCall, count: int = 1) -> TurnEnded:
    event = await call.until("turn_ended", count=count)
    assert isinstance(event, TurnEnded)
    return event


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("kind", ["stt", "llm", "tts"])
async def test_the_caller_hears_the_reply_in_the_same_turn(
    house: FakeHouse, question: bytes, kind: Kind, fault: Fault
):
    furnish(house, **{kind: chain_of(kind, faulty(kind, fault), sound_one(kind))})
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        if kind == "stt":
            await call.transport.speak(question)
        else:
            await call.control.ask("when do you open")
        ended = await turn(call)
        told = await replaced(call)

        assert ended.heard == REPLY
        assert (told.kind, told.failed, told.replacement) == (kind, "first", "second")
        assert told.reason
        assert call.names().count("engine_replaced") == 1
        assert "call_failed" not in call.names()
        assert any(call.transport.heard)


@pytest.mark.parametrize("kind", ["llm", "tts"])
async def test_the_next_turn_goes_to_the_engine_that_works(house: FakeHouse, kind: Kind):
    first = faulty(kind, FAULTS["hangs"])
    furnish(house, **{kind: chain_of(kind, first, sound_one(kind))})
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")
        await call.control.ask("when do you open")
        await turn(call)

        await call.control.ask("are you sure")
        second = await turn(call, 2)

        assert second.heard == REPLY
        assert len(first.asked if kind == "llm" else first.texts) == 1
        assert call.names().count("engine_replaced") == 1


async def test_when_all_models_fail_the_words_are_kept_and_the_next_turn_answers_both(
    house: FakeHouse,
):
    engines = [faulty("llm", FAULTS["answers 429"]), faulty("llm", FAULTS["hangs"])]
    furnish(house, llm=chain_of("llm", *engines))
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")
        await call.control.ask("when do you open")
        apology = await turn(call)
        for engine in engines:
            engine.fault = None

        await call.control.ask("and when do you close")
        answer = await turn(call, 2)

        assert apology.heard == AGENT.sorry.llm
        assert answer.heard == REPLY
        # The shorter questions are probes.
        said = [(m["role"], m["content"]) for m in max(engines[0].asked, key=len)]
        assert said[1:] == [
            ("user", "when do you open"),
            ("assistant", AGENT.sorry.llm),
            ("user", "and when do you close"),
        ]
        assert call.names().count("call_failed") == 1


async def test_when_all_recognisers_fail_the_caller_is_asked_once_to_say_it_again(
    house: FakeHouse, question: bytes
):
    engines = [faulty("stt", FAULTS["answers 500"]), faulty("stt", FAULTS["dies in mid-stream"])]
    furnish(house, stt=chain_of("stt", *engines))
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")
        await call.transport.speak(question)
        apology = await turn(call)
        for engine in engines:
            # A sick engine is tried with a tone before it may serve again.
            engine.fault, engine.texts = None, ["when do you open"] * 5

        await call.transport.speak(question)
        answer = await turn(call, 2)

        assert apology.heard == AGENT.sorry.stt
        assert answer.heard == REPLY
        assert house.tts.texts.count(AGENT.sorry.stt) == 1


async def test_when_all_voices_fail_the_spare_one_apologises_and_the_next_turn_is_heard(
    house: FakeHouse,
):
    engines = [faulty("tts", FAULTS["answers garbage"]), faulty("tts", FAULTS["answers 500"])]
    furnish(house, tts=chain_of("tts", *engines))
    house.spare_voice = np.full(4800, 7_000, np.int16).tobytes()
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")
        await call.control.ask("when do you open")
        await call.until("agent_speech_stopped")
        for engine in engines:
            engine.fault = None

        await call.control.ask("and when do you close")
        answer = await turn(call)

        heard = np.frombuffer(bytes(call.transport.heard), np.int16)
        assert np.count_nonzero(heard == 7_000) >= 4800
        assert answer.heard == REPLY


async def test_a_sentence_that_breaks_off_is_finished_by_another_voice(house: FakeHouse):
    broken = Fault(after=6, error=EngineFailed("It died."))
    second = sound_one("tts")
    furnish(house, tts=chain_of("tts", faulty("tts", broken), second))
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("when do you open")
        ended = await turn(call)

        assert ended.heard == REPLY
        assert second.texts == ["at nine."]


async def test_engines_are_told_whose_call_it_is(house: FakeHouse, question: bytes):
    furnish(house)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.transport.speak(question)
        await turn(call)

        assert house.stt.options[0].tenant == "default"
        assert house.llm.options[0].conversation == call.control.call_id
        assert house.llm.options[0].tenant == "default"
        assert house.tts.options[0].tenant == "default"
