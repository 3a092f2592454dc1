"""Kokoro in this process, on a model that hums: phonemes, voices, pieces of sound."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from parley.core.audio import Audio
from parley.core.errors import EngineUnavailable, NotFound
from parley.engines.spec import SpeechOptions
from parley.engines.tts.kokoro import Kokoro, KokoroOptions
from parley.engines.tts.kokoro_phonemes import MOST_TOKENS, NUMBERS, symbols, tokens_of
from parley.engines.tts.kokoro_voices import FIRST_VOICES

pytest.importorskip("espeakng_loader", reason="the extra espeak is not installed")

MODEL = Path(__file__).parent.parent / "voices/tiny_kokoro.onnx"
TEXT = "Good evening, this is the Golden Fork. How many of you will come? We have a table."
LEVELS = {"af_heart": 0.5, "bf_emma": 0.3, "ff_siwis": 0.2, "jf_alpha": 0.1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in the layout of the hub: a file per voice."""
    folder = tmp_path_factory.mktemp("kokoro")
    (folder / "onnx").mkdir()
    (folder / "voices").mkdir()
    shutil.copy(MODEL, folder / "onnx/model.onnx")
    for name, level in LEVELS.items():
        np.full((MOST_TOKENS, 1, 256), level, np.float32).tofile(folder / f"voices/{name}.bin")
    return folder


@pytest.fixture
async def kokoro(folder: Path) -> AsyncIterator[Kokoro]:
    engine = Kokoro(KokoroOptions(model=str(folder), device="cpu"))
    yield engine
    await engine.close()


async def spoken(engine: Kokoro, text: str = TEXT, **options: object) -> list[Audio]:
    return [piece async for piece in engine.synthesize(text, SpeechOptions(**options))]  # type: ignore[arg-type]


def duration_ms(pieces: list[Audio]) -> float:
    return sum(piece.duration_ms for piece in pieces)


def loudest(pieces: list[Audio]) -> float:
    pcm = b"".join(piece.pcm for piece in pieces)
    return float(np.abs(np.frombuffer(pcm, np.int16).astype(float)).max() / 32767)


# ── phonemes ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("language", "espeak", "kokoro"),
    [
        ("en-us", "həlˈo^ʊ", "həlˈO"),
        ("en-us", "tədˈe^ɪ tˈe^ɪbə^l", "tədˈA tˈAbᵊl"),
        ("en-us", "wˈɔːɾɚ bˈʌʔn\u0329", "wˈɔTəɹ bˈʌtᵊn"),
        ("en-gb", "nˈə^ʊ fˈe^ə", "nˈQ fˈɛː"),
        ("en-us", "bˈɜːdz (fr)ʃɛf(en)", "bˈɜɹdz ʃɛf"),
        ("fr-fr", "bɔ̃ʒˈuʁ ʒə-", "bɔ̃ʒˈuʁ ʒə"),
        ("it", "djˈɛt^ʃɪ", "djˈɛʧɪ"),
    ],
)
def test_espeaks_phonemes_become_those_that_the_model_learnt(
    language: str, espeak: str, kokoro: str
) -> None:
    found = symbols(espeak, language)

    assert found == kokoro
    assert all(symbol in NUMBERS for symbol in found)


def test_every_symbol_has_the_number_of_the_models_configuration() -> None:
    sample = "ðə ɹˈɛd fˈɑks ʃˈʊd ʤˈʌmp!"

    numbers = tokens_of(sample)

    assert len(NUMBERS) == len(set(NUMBERS.values())) == 114
    start = [81, 83, 16, 123, 156, 86, 46, 16, 48, 156, 69, 53, 61, 16, 131, 156, 135, 46, 16]
    assert numbers == [[*start, 82, 156, 138, 55, 58, 5]]


def test_a_long_text_is_cut_where_words_end() -> None:
    runs = tokens_of(" ".join(["tˈAbᵊl"] * 200))

    assert len(runs) == 3
    assert all(len(run) <= MOST_TOKENS for run in runs)
    assert all(run[-1] == NUMBERS[" "] for run in runs[:-1])


# ── speech ───────────────────────────────────────────────────────────────────────────────────


async def test_a_text_becomes_sound_in_pieces_whose_words_are_the_text(kokoro: Kokoro) -> None:
    pieces = await spoken(kokoro)

    assert {piece.rate_hz for piece in pieces} == {24_000}
    assert all(len(piece.pcm) % 2 == 0 and piece.duration_ms <= 61 for piece in pieces)
    assert "".join(piece.words for piece in pieces) == TEXT
    assert duration_ms(pieces) > 1500


async def test_the_first_clause_is_heard_before_the_rest_is_made(kokoro: Kokoro) -> None:
    pieces = kokoro.synthesize(TEXT, SpeechOptions())

    first = await anext(pieces)
    await pieces.aclose()

    assert first.duration_ms > 0
    assert len(asyncio.all_tasks()) == 1


async def test_speed_and_volume_are_factors(kokoro: Kokoro) -> None:
    plain, fast, soft = [
        await spoken(kokoro, **options) for options in ({}, {"speed": 2.0}, {"volume": 0.5})
    ]

    assert duration_ms(fast) < 0.75 * duration_ms(plain)
    assert loudest(soft) == pytest.approx(loudest(plain) / 2, abs=0.01)


@pytest.mark.parametrize(
    ("options", "voice"),
    [
        ({}, "af_heart"),
        ({"voice": "bf_emma"}, "bf_emma"),
        ({"language": "en-GB"}, "bf_emma"),
        ({"language": "fr"}, "ff_siwis"),
        ({"language": "en"}, "af_heart"),
    ],
)
async def test_a_voice_is_taken_by_name_or_by_language(
    kokoro: Kokoro, options: dict[str, str], voice: str
) -> None:
    pieces = await spoken(kokoro, "Bonjour", **options)

    assert loudest(pieces) == pytest.approx(LEVELS[voice], abs=0.02)


async def test_an_agents_voice_gives_way_only_to_a_language_that_it_does_not_speak(
    folder: Path,
) -> None:
    engine = Kokoro(KokoroOptions(model=str(folder), voice="bf_emma"))

    english = loudest(await spoken(engine, language="en-US"))
    french = loudest(await spoken(engine, language="fr"))
    await engine.close()

    assert english == pytest.approx(LEVELS["bf_emma"], abs=0.02)
    assert french == pytest.approx(LEVELS["ff_siwis"], abs=0.02)


@pytest.mark.parametrize("text", ["", "   ", "🙂", "***"])
async def test_what_nobody_can_pronounce_makes_no_sound(kokoro: Kokoro, text: str) -> None:
    assert await spoken(kokoro, text) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [({"voice": "af_hart"}, "af_heart"), ({"language": "ja"}, "en-us"), ({"voice": "x"}, "voice")],
)
async def test_a_voice_or_language_that_is_not_there_is_told(
    kokoro: Kokoro, options: dict[str, str], says: str
) -> None:
    with pytest.raises(NotFound, match=says):
        await spoken(kokoro, **options)


async def test_only_voices_whose_language_can_be_spoken_are_listed(kokoro: Kokoro) -> None:
    listed = {voice.id: voice.language for voice in kokoro.voices()}

    assert listed == {"af_heart": "en-us", "bf_emma": "en-gb", "ff_siwis": "fr-fr"}


async def test_voices_may_lie_in_one_archive(tmp_path: Path) -> None:
    shutil.copy(MODEL, tmp_path / "kokoro-v1.0.onnx")
    style = np.full((MOST_TOKENS, 1, 256), 0.4, np.float32)
    with (tmp_path / "voices-v1.0.bin").open("wb") as file:
        np.savez(file, af_heart=style)
    engine = Kokoro(KokoroOptions(model=str(tmp_path)))

    pieces = await spoken(engine)
    await engine.close()

    assert loudest(pieces) == pytest.approx(0.4, abs=0.02)


async def test_two_callers_are_spoken_to_at_the_same_time(kokoro: Kokoro) -> None:
    texts = await asyncio.gather(*(spoken(kokoro, text) for text in (TEXT, "One.", "Two.")))

    assert ["".join(piece.words for piece in pieces) for pieces in texts] == [TEXT, "One.", "Two."]


# ── what can be wrong ────────────────────────────────────────────────────────────────────────


def test_without_its_model_it_lists_a_voice_of_each_language(tmp_path: Path) -> None:
    voices = Kokoro(KokoroOptions(data_dir=tmp_path)).voices()

    assert {voice.language for voice in voices} == set(FIRST_VOICES)


@pytest.mark.parametrize("broken", ["model.onnx", "af_heart.bin"])
async def test_a_broken_model_is_told_plainly(tmp_path: Path, broken: str) -> None:
    shutil.copy(MODEL, tmp_path / "model.onnx")
    np.zeros((2, 256), np.float32).tofile(tmp_path / "af_heart.bin")
    (tmp_path / broken).write_bytes(b"not this")
    engine = Kokoro(KokoroOptions(model=str(tmp_path)))

    with pytest.raises(EngineUnavailable):
        await spoken(engine)


async def test_another_model_is_not_taken_for_kokoro(tmp_path: Path) -> None:
    shutil.copy(MODEL.with_name("tone.onnx"), tmp_path / "model.onnx")
    np.zeros((2, 256), np.float32).tofile(tmp_path / "af_heart.bin")
    engine = Kokoro(KokoroOptions(model=str(tmp_path)))

    with pytest.raises(EngineUnavailable, match="that is not Kokoro"):
        await spoken(engine)
