"""The built-in recogniser as the rest of Parley sees it, with its real worker process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from parley.core.audio import Audio, Resampler
from parley.core.errors import BadAudio, EngineFailed
from parley.engines.spec import TranscribeOptions
from parley.engines.stt.builtin import RATE_HZ, SPEC, BuiltinOptions, BuiltinTranscriber
from tests.caller_voice import CallerVoice
from tests.engines.stt.spoken import Mouth, finals, hear, partials

QUESTION = "what are your opening hours"
GRAMMAR = f"#JSGF V1.0; grammar g; public <said> = {QUESTION} | where are you;"


@pytest.fixture
async def engine() -> AsyncIterator[BuiltinTranscriber]:
    engine = BuiltinTranscriber(BuiltinOptions(workers=1))
    await engine.warm_up()
    yield engine
    await engine.close()


async def question(rate_hz: int = RATE_HZ) -> AsyncIterator[Audio]:
    pcm = bytes(RATE_HZ // 2) + await CallerVoice()(QUESTION) + bytes(RATE_HZ)
    if rate_hz != RATE_HZ:
        resampler = Resampler(RATE_HZ, rate_hz)
        pcm = resampler.push(pcm) + resampler.flush()
    size = rate_hz // 50 * 2
    for at in range(0, len(pcm), size):
        yield Audio(pcm[at : at + size], rate_hz)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000, 8_000])
async def test_an_utterance_is_understood_whatever_its_rate(engine, rate_hz):
    parts = await hear(engine, question(rate_hz), TranscribeOptions(grammar=GRAMMAR))

    assert finals(parts) == [QUESTION]
    assert parts[-1].final


async def test_texts_come_while_the_caller_still_speaks(engine):
    parts = await hear(engine, question(), TranscribeOptions(grammar=GRAMMAR))

    assert any(text and QUESTION.startswith(text) for text in partials(parts))


async def test_sound_that_breaks_off_ends_the_utterance_with_its_error(engine):
    async def torn() -> AsyncIterator[Audio]:
        yield Audio(bytes(RATE_HZ), RATE_HZ)
        raise BadAudio("The file ends in the middle.")

    with pytest.raises(BadAudio, match="in the middle"):
        await hear(engine, torn(), TranscribeOptions(grammar=GRAMMAR))

    assert finals(await hear(engine, question(), TranscribeOptions(grammar=GRAMMAR))) == [QUESTION]


async def test_no_sound_at_all_is_an_empty_final_text(engine):
    mouth = Mouth()
    mouth.stop()

    assert finals(await hear(engine, mouth.audio(), TranscribeOptions(grammar=GRAMMAR))) == [""]


async def test_an_utterance_that_is_given_up_leaves_room_for_the_next(engine):
    for _ in range(3):
        mouth = Mouth()
        mouth.speak(200)
        abandoned = engine.transcribe(mouth.audio(), TranscribeOptions(grammar=GRAMMAR))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(abandoned)
        await abandoned.aclose()

    parts = await hear(engine, question(), TranscribeOptions(grammar=GRAMMAR))

    assert finals(parts) == [QUESTION]


async def test_a_worker_that_dies_fails_its_utterance_and_the_next_one_is_heard(engine):
    mouth = Mouth()
    mouth.speak(100)
    doomed = engine.transcribe(mouth.audio(), TranscribeOptions(grammar=GRAMMAR))
    os.kill(engine.pids[0], signal.SIGKILL)

    with pytest.raises(EngineFailed):
        await anext(doomed)
    status = await engine.check()
    parts = await hear(engine, question(), TranscribeOptions(grammar=GRAMMAR))

    assert not status.ok and "starting again" in status.detail
    assert finals(parts) == [QUESTION]
    assert (await engine.check()).ok


def test_the_spec_says_that_it_needs_no_network():
    assert (SPEC.kind, SPEC.name, SPEC.is_offline) == ("stt", "builtin", True)
    assert SPEC.available(SPEC.options())
