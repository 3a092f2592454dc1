"""A recogniser that fails is replaced by one that hears the whole utterance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import BadAudio, EngineFailed, EngineTimeout
from parley.engines.fallback.limits import StageLimits
from parley.engines.spec import TranscribeOptions, TranscriptPart
from parley.testing.engines import FakeTranscriber
from parley.testing.faults import Fault
from tests.engines.fallback.chains import FAULTS, Told, chain_of, sound


async def heard(hearing: Any, audio: AsyncIterator[Audio] | None = None) -> list[TranscriptPart]:
    options = TranscribeOptions()
    return [part async for part in hearing.transcribe(audio or sound(), options)]


def finals(parts: list[TranscriptPart]) -> list[str]:
    return [part.text for part in parts if part.final]


class LiveSound:
    """Sound that comes while it is spoken, and ends when a test says so."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Audio | None] = asyncio.Queue()

    def speak(self, pieces: int) -> None:
        for _ in range(pieces):
            self._queue.put_nowait(Audio(bytes(pcm_bytes(20, 16_000)), 16_000))

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def audio(self) -> AsyncIterator[Audio]:
        while (piece := await self._queue.get()) is not None:
            yield piece


class InTwoParts(FakeTranscriber):
    """Tells a final part at its third piece of sound, and dies if it has a fault."""

    async def transcribe(self, audio, options):
        pieces = 0
        async for _ in audio:
            pieces += 1
            if pieces == 3:
                yield TranscriptPart("good", final=True)
                await (self.fault or Fault()).strike(1)
        yield TranscriptPart("morning", final=True)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_whatever_is_wrong_with_a_recogniser_the_next_hears_everything(fault: Fault):
    first, second = FakeTranscriber("wrong", fault=fault), FakeTranscriber("good morning")
    told = Told()

    parts = await heard(chain_of("stt", first, second).for_call(told))

    assert finals(parts) == ["good morning"]
    assert second.heard_ms == [200]
    assert told.names == [("first", "second")]


async def test_a_recogniser_that_dies_is_replaced_while_the_caller_still_speaks():
    first, second = FakeTranscriber(fault=FAULTS["dies in mid-stream"]), FakeTranscriber("hello")
    speech, told = LiveSound(), Told()
    hearing = chain_of("stt", first, second).for_call(told)
    listening = asyncio.create_task(heard(hearing, speech.audio()))

    speech.speak(5)
    await told.happened.wait()
    speech.speak(5)
    speech.end()
    parts = await listening

    assert finals(parts) == ["hello"]
    assert second.heard_ms == [200]


async def test_a_long_utterance_uses_up_nobodys_patience():
    limits = StageLimits(first_s=0.2, gap_s=0.2, patience_s=0.25)
    first, second = FakeTranscriber(fault=Fault(after=20, hangs=True)), FakeTranscriber("hello")
    speech = LiveSound()
    hearing = chain_of("stt", first, second, limits=limits)
    listening = asyncio.create_task(heard(hearing, speech.audio()))

    for _ in range(20):
        speech.speak(1)
        await asyncio.sleep(0.02)
    speech.end()
    parts = await listening

    assert finals(parts) == ["hello"]


async def test_what_a_recogniser_understood_before_it_died_is_not_told_twice():
    first = InTwoParts(fault=Fault(error=EngineFailed("It died.")))
    second = InTwoParts()

    parts = await heard(chain_of("stt", first, second))

    assert finals(parts) == ["good", "morning"]
    assert [part.text for part in parts if not part.final] == ["good"]


async def test_a_recogniser_without_a_successor_tells_final_parts_at_once():
    parts = await heard(chain_of("stt", InTwoParts()))

    assert [(part.text, part.final) for part in parts] == [("good", True), ("morning", True)]


async def test_when_nobody_hears_the_error_says_so_and_nothing_stays_behind():
    before = asyncio.all_tasks()
    hearing = chain_of("stt", *(FakeTranscriber(fault=FAULTS["hangs"]) for _ in range(2)))

    with pytest.raises(EngineTimeout, match=r"first: .*second: "):
        await heard(hearing)

    assert asyncio.all_tasks() == before


async def test_sound_that_cannot_be_read_is_no_engines_fault():
    async def broken() -> AsyncIterator[Audio]:
        yield Audio(bytes(640), 16_000)
        raise BadAudio("No sound in this file.")

    hearing = chain_of("stt", FakeTranscriber("a"), FakeTranscriber("b"))

    with pytest.raises(BadAudio):
        await heard(hearing, broken())

    assert all(each.is_well for each in hearing.members)


async def test_an_empty_utterance_is_nobodys_failure():
    hearing = chain_of("stt", FakeTranscriber(), FakeTranscriber())

    parts = await heard(hearing, sound(0))

    assert finals(parts) == [""]
