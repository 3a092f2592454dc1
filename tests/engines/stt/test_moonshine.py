"""Moonshine in this process: the real library without weights, and a stand-in that has words."""

from __future__ import annotations

import asyncio
import importlib
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parley.core.audio import Audio
from parley.core.errors import (
    BadAudio,
    BadSettings,
    EngineFailed,
    EngineUnavailable,
    NotSupported,
)
from parley.engines.spec import TranscribeOptions, TranscriptPart
from parley.engines.stt.moonshine import Moonshine, MoonshineOptions
from parley.engines.stt.moonshine_models import KNOWN
from tests.engines.models.fake_moonshine import FakeTranscriber

moonshine_voice = pytest.importorskip("moonshine_voice", reason="moonshine-voice is not installed")


def engine_with(transcriber: Any, folder: Path, **options: Any) -> Moonshine:
    model = folder / "tiny-streaming-en"
    model.mkdir(exist_ok=True)
    for name in ("encoder.ort", "tokenizer.bin"):
        (model / name).touch()
    settings = MoonshineOptions(model=str(model), workers=1, **options)
    return Moonshine(settings, lambda *_: transcriber)


async def sound(duration_ms: int = 400, level: int = 6000) -> AsyncIterator[Audio]:
    tone = level * np.sin(np.arange(16 * duration_ms) * 0.2)
    pcm = tone.astype(np.int16).tobytes()
    for at in range(0, len(pcm), 640):
        yield Audio(pcm[at : at + 640], 16_000)


async def heard(
    engine: Moonshine, audio: AsyncIterator[Audio], language: str = "en"
) -> list[TranscriptPart]:
    return [part async for part in engine.transcribe(audio, TranscribeOptions(language=language))]


async def test_words_come_while_the_caller_speaks_and_a_final_text_at_the_end(
    tmp_path: Path,
) -> None:
    engine = engine_with(FakeTranscriber(), tmp_path)

    parts = await heard(engine, sound())

    assert [part.text for part in parts if not part.final] == [
        "good",
        "good evening",
        "good evening to",
        "good evening to you",
    ]
    assert [part.text for part in parts if part.final] == ["good evening to you"]
    assert (parts[-1].start_ms, parts[-1].end_ms) == (100, 400)
    await engine.close()


async def test_every_stream_is_closed_also_when_the_utterance_is_given_up(tmp_path: Path) -> None:
    transcriber = FakeTranscriber()
    engine = engine_with(transcriber, tmp_path)
    parts = engine.transcribe(sound(), TranscribeOptions())
    await anext(parts)

    await parts.aclose()
    await heard(engine, sound())
    await engine.close()

    assert (transcriber.open_streams, transcriber.is_closed) == (0, True)


async def test_near_silence_has_no_text_whatever_the_model_made_of_it(tmp_path: Path) -> None:
    engine = engine_with(FakeTranscriber(), tmp_path)

    parts = await heard(engine, sound(level=10))

    assert parts[-1] == TranscriptPart("", True, 100, 400)
    await engine.close()


@pytest.mark.parametrize("fails_at", [2, 4])
async def test_a_failure_of_the_library_is_told_plainly(tmp_path: Path, fails_at: int) -> None:
    transcriber = FakeTranscriber(fails_at=fails_at)
    engine = engine_with(transcriber, tmp_path)

    with pytest.raises(EngineFailed, match=r"Moonshine broke off: (out of memory|too late)"):
        await heard(engine, sound())
    await engine.close()

    assert transcriber.open_streams == 0


async def test_an_utterance_that_is_too_long_is_refused(tmp_path: Path) -> None:
    engine = engine_with(FakeTranscriber(), tmp_path, longest_s=0.3)

    with pytest.raises(BadAudio, match=r"longer than 0\.3 s"):
        await heard(engine, sound())
    await engine.close()


async def test_another_language_is_refused_with_the_models_that_know_it(tmp_path: Path) -> None:
    engine = engine_with(FakeTranscriber(), tmp_path)

    with pytest.raises(NotSupported, match="small-streaming-de or tiny-streaming-de"):
        await heard(engine, sound(), "de-AT")


async def test_the_real_library_takes_an_utterance_as_one_line_and_keeps_no_sound(
    tmp_path: Path,
) -> None:
    lines: list[Any] = []

    def load(folder: Path, architecture: int, options: dict[str, str]) -> Any:
        # Without weights it can do all but write words.
        more = {**options, "skip_transcription": "true"}
        arch = moonshine_voice.ModelArch(architecture)
        return Listening(moonshine_voice.Transcriber("", arch, options=more), lines)

    engine = engine_with(None, tmp_path)
    engine = Moonshine(engine._options, load)
    recording = Path(moonshine_voice.__file__).parent / "assets/two_cities.wav"

    parts = await heard(engine, speech(recording, seconds=6))
    await engine.close()

    assert [(part.text, part.final) for part in parts] == [("", True)]
    assert len({line.line_id for line in lines}) == 1
    assert lines[-1].is_complete
    assert 5.8 <= lines[-1].duration <= 6.0
    assert all(line.audio_data is None for line in lines)


class Listening:
    """The library's transcriber; notes each line that its streams tell of."""

    def __init__(self, transcriber: Any, lines: list[Any]) -> None:
        self._transcriber = transcriber
        self._lines = lines

    def create_stream(self, update_interval: float) -> Any:
        stream = self._transcriber.create_stream(update_interval)
        stream.add_listener(lambda event: self._lines.append(event.line))
        return stream

    def close(self) -> None:
        self._transcriber.close()


async def speech(recording: Path, seconds: int) -> AsyncIterator[Audio]:
    with wave.open(str(recording)) as file:
        for _ in range(seconds * 50):
            yield Audio(file.readframes(file.getframerate() // 50), file.getframerate())
            await asyncio.sleep(0)


async def test_the_real_library_refuses_a_broken_model(tmp_path: Path) -> None:
    engine = engine_with(None, tmp_path)
    broken = Moonshine(engine._options)

    with pytest.raises(EngineUnavailable, match="can't be loaded"):
        await heard(broken, sound())


async def test_the_library_itself_names_the_files_of_every_model_that_we_offer() -> None:
    files = {name: await model.files(None) for name, model in KNOWN.items()}  # type: ignore[arg-type]

    for name, model in KNOWN.items():
        assert {file.url.startswith("https://download.moonshine.ai/") for file in files[name]} == {
            True
        }
        assert "tokenizer.bin" in {file.path for file in files[name]}
        assert all(file.checksum.startswith("crc32c:") for file in files[name])
        if model.language == "en":
            assert round(sum(file.bytes for file in files[name]) / 1e6) == model.bytes // 1_000_000


def test_every_architecture_has_the_number_that_the_library_gives_it() -> None:
    api = importlib.import_module("moonshine_voice.moonshine_api")

    for name, model in KNOWN.items():
        number = api.string_to_model_arch(model.architecture)
        assert name.startswith(api.model_arch_to_string(number))


def test_a_name_that_tells_no_architecture_is_refused() -> None:
    with pytest.raises(BadSettings, match="does not tell"):
        Moonshine(MoonshineOptions(model="/models/mine"))
