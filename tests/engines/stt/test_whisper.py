"""Whisper in this process, on a model that says what it was built to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parley.core.audio import Audio
from parley.core.errors import BadAudio, EngineUnavailable, NotSupported
from parley.engines.fallback.limits import USUAL_LIMITS
from parley.engines.spec import TranscribeOptions, TranscriptPart
from parley.engines.stt.whisper import SPEC, Whisper, WhisperOptions
from parley.testing.engines import FakeTranscriber
from tests.engines.fallback.chains import chain_of
from tests.engines.models.tiny_whisper import make_tiny_whisper

pytest.importorskip("faster_whisper", reason="the extra whisper is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_whisper(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
async def whisper(folder: Path) -> AsyncIterator[Whisper]:
    engine = Whisper(WhisperOptions(model=str(folder), device="cpu", threads=1, workers=1))
    yield engine
    await engine.close()


def speech(duration_ms: int = 1500, rate_hz: int = 16_000, level: int = 6000) -> Iterator[bytes]:
    """Syllables: a tone that comes and goes four times a second, in pieces of 20 ms."""
    times = np.arange(rate_hz * duration_ms // 1000) / rate_hz
    loud = np.maximum(np.sin(2 * np.pi * 4 * times), 0)
    pcm = (level * loud * np.sin(2 * np.pi * 300 * times)).astype(np.int16).tobytes()
    piece = rate_hz // 50 * 2
    return (pcm[at : at + piece] for at in range(0, len(pcm), piece))


async def microphone(is_over: asyncio.Event, **sound: int) -> AsyncIterator[Audio]:
    for pcm in speech(**sound):
        yield Audio(pcm, sound.get("rate_hz", 16_000))
    is_over.set()


async def heard(
    engine: Whisper,
    options: TranscribeOptions | None = None,
    is_over: asyncio.Event | None = None,
    **sound: int,
) -> list[TranscriptPart]:
    audio = microphone(is_over or asyncio.Event(), **sound)
    return [part async for part in engine.transcribe(audio, options or TranscribeOptions())]


def text_of(parts: list[TranscriptPart]) -> str:
    return " ".join(part.text for part in parts)


async def test_an_utterance_becomes_one_final_text_when_it_is_over(whisper: Whisper) -> None:
    await whisper.warm_up()

    parts = await heard(whisper)

    assert [(part.text, part.final) for part in parts] == [("hello there", True)]


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
async def test_sound_of_any_rate_is_heard(whisper: Whisper, rate_hz: int) -> None:
    parts = await heard(whisper, rate_hz=rate_hz)

    assert text_of(parts) == "hello there"


async def test_words_come_with_their_times(whisper: Whisper) -> None:
    parts = await heard(whisper, TranscribeOptions(words=True))

    words = [word for part in parts for word in part.words]
    assert [word.text for word in words] == ["hello", "there"]
    assert all(0 <= word.start_ms <= word.end_ms <= 1500 for word in words)


@pytest.mark.parametrize("language", ["en", "de-DE", "auto", ""])
async def test_a_language_may_be_named_or_found_out(whisper: Whisper, language: str) -> None:
    parts = await heard(whisper, TranscribeOptions(language=language, prompt="Parley."))

    assert len(parts) <= 1


async def test_translation_is_another_task_for_the_model(whisper: Whisper) -> None:
    german = TranscribeOptions(language="de", words=True)
    plain = await heard(whisper, german)
    translated = await heard(whisper, replace(german, translate=True))

    assert text_of(plain) == "hello there"
    assert text_of(translated) == "translated there"


async def test_near_silence_never_reaches_the_model_and_has_no_text(whisper: Whisper) -> None:
    parts = await heard(whisper, level=20)

    assert [(part.text, part.final) for part in parts] == [("", True)]


async def test_silence_is_no_failure_to_a_chain(whisper: Whisper) -> None:
    chain = chain_of("stt", whisper, FakeTranscriber("no"), limits=USUAL_LIMITS.stt)
    audio = microphone(asyncio.Event(), level=20)

    parts = [part async for part in chain.transcribe(audio, TranscribeOptions())]

    assert [part.text for part in parts if part.final] == [""]
    assert chain.members[0].is_well


async def test_a_sentence_that_whisper_invents_is_dropped(tmp_path: Path) -> None:
    says = (" Thanks", " for", " watching!")
    engine = Whisper(WhisperOptions(model=str(make_tiny_whisper(tmp_path / "m", says))))

    parts = await heard(engine)

    assert [(part.text, part.final) for part in parts] == [("", True)]
    await engine.close()


async def test_a_model_for_english_takes_english_only(tmp_path: Path) -> None:
    folder = make_tiny_whisper(tmp_path / "m", is_multilingual=False)
    engine = Whisper(WhisperOptions(model=str(folder)))

    english = await heard(engine, TranscribeOptions(language="en-GB"))

    assert text_of(english) == "hello there"
    with pytest.raises(NotSupported, match=r"only English.*without \.en"):
        await heard(engine, TranscribeOptions(language="de"))
    await engine.close()


async def test_a_long_recording_is_heard_window_by_window(whisper: Whisper) -> None:
    parts = await heard(whisper, duration_ms=62_000)

    assert len(parts) >= 2
    assert parts[-1].start_ms >= 30_000
    assert parts[-1].end_ms <= 62_100


async def test_an_utterance_that_is_too_long_is_refused(folder: Path) -> None:
    engine = Whisper(WhisperOptions(model=str(folder), longest_s=1))

    with pytest.raises(BadAudio, match="longer than 1 s"):
        await heard(engine)
    await engine.close()


async def test_a_recognition_that_is_given_up_lets_the_next_one_in(whisper: Whisper) -> None:
    await whisper.warm_up()
    is_over = asyncio.Event()
    given_up = asyncio.create_task(heard(whisper, is_over=is_over, duration_ms=100_000))
    await is_over.wait()

    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)

    assert text_of(await heard(whisper)) == "hello there"


async def test_a_broken_model_is_told_plainly(tmp_path: Path) -> None:
    for name in ("config.json", "model.bin", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    engine = Whisper(WhisperOptions(model=str(tmp_path)))

    with pytest.raises(EngineUnavailable, match="can't be loaded"):
        await heard(engine)
    await engine.close()


def test_a_repository_that_has_a_short_name_is_the_same_model() -> None:
    options = WhisperOptions(model="Systran/faster-distil-whisper-small.en")

    assert options.model == "distil-small.en"
    assert SPEC.owns_model("Systran/faster-distil-whisper-small.en")
    assert not SPEC.owns_model("whisper-1")
