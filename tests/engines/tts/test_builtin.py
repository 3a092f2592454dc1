"""Built-in speech through the real eSpeak NG."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from parley.core.audio import Audio
from parley.core.errors import EngineFailed, EngineUnavailable, NotFound
from parley.engines.spec import SpeechOptions
from parley.engines.tts.builtin import SPEC, BuiltinSpeech, BuiltinSpeechOptions
from parley.engines.tts.espeak_thread import EspeakThread
from parley.engines.tts.live import LiveSpeech
from parley.testing.speech import LEVEL_STEP
from tests.engines.tts.call import RATE_HZ, speaking_call

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="the extra espeak is not installed",
)

PLAIN = SpeechOptions()


@pytest.fixture
async def engine() -> AsyncIterator[BuiltinSpeech]:
    engine = SPEC.open(BuiltinSpeechOptions())
    await engine.warm_up()
    yield engine
    await engine.close()


async def spoken(engine: BuiltinSpeech, text: str, options: SpeechOptions = PLAIN) -> list[Audio]:
    async with aclosing(engine.synthesize(text, options)) as pieces:
        return [piece async for piece in pieces]


def samples_of(pieces: list[Audio]) -> np.ndarray:
    return np.frombuffer(b"".join(piece.pcm for piece in pieces), np.int16).astype(np.int32)


def duration_ms(pieces: list[Audio]) -> float:
    return sum(piece.duration_ms for piece in pieces)


# ── words ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "Hello Dr. Smith, it's 3:30 p.m. on May 5th. It costs $29.99, e.g. 1,250 people! Right?",
        "Hi - there",
        "**Bold** <b>move</b> 👍 done 👍👍",
        "Visit www.example.com/foo?x=1 or call 555-1234.",
        "Привет мир, это слова чужого письма",
        "A\n\nlist:\n- one\n- two",
    ],
)
async def test_the_words_of_the_pieces_together_are_the_text(engine: BuiltinSpeech, text: str):
    pieces = await spoken(engine, text)

    assert "".join(piece.words for piece in pieces) == " ".join(text.split())


async def test_each_word_is_on_the_piece_with_which_its_sound_ends(engine: BuiltinSpeech):
    short = await spoken(engine, "Good morning")
    long = await spoken(engine, "Good morning everybody here")

    told: list[tuple[str, float]] = []
    at_ms = 0.0
    for piece in long:
        at_ms += piece.duration_ms
        if piece.words:
            told.append((piece.words, at_ms))
    assert [words for words, _ in told] == ["Good ", "morning ", "everybody ", "here"]
    assert 100 < told[0][1] < told[1][1] < told[2][1] < told[3][1] <= at_ms
    assert told[1][1] < duration_ms(short) + 100
    # The last word ends with its sound; only a pause is left behind it.
    assert 0 < at_ms - told[3][1] <= 80


@given(text=st.text(max_size=120))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
async def test_any_text_is_spoken_or_passed_over_whole(text: str):
    engine = BuiltinSpeech(BuiltinSpeechOptions(rate=450))
    try:
        pieces = await spoken(engine, text)
    finally:
        await engine.close()

    assert "".join(piece.words for piece in pieces) in ("", " ".join(text.split()))
    assert all(piece.pcm and len(piece.pcm) % 2 == 0 for piece in pieces)


# ── sound ────────────────────────────────────────────────────────────────────────────────────


async def test_sound_begins_at_once_is_loud_enough_and_not_clipped(engine: BuiltinSpeech):
    for voice in ("", "en-us+m3", "en-gb", "de", "es"):
        sound = samples_of(
            await spoken(engine, "Hello there, how are you?", SpeechOptions(voice=voice))
        )

        assert np.abs(sound[: 22_050 // 50]).max() > 90
        assert 10_000 < np.abs(sound).max() < 30_000


async def test_a_sentence_ends_with_a_short_pause(engine: BuiltinSpeech):
    sound = samples_of(await spoken(engine, "We are open today."))

    silence_ms = (len(sound) - 1 - np.flatnonzero(np.abs(sound) > 90)[-1]) / 22.05
    assert 50 <= silence_ms <= 80


async def test_pieces_are_short(engine: BuiltinSpeech):
    pieces = await spoken(engine, "This is a sentence of some length, for pieces of it.")

    assert max(piece.duration_ms for piece in pieces) <= 70
    assert {piece.rate_hz for piece in pieces} == {22_050}


async def test_speed_pitch_and_volume_multiply_the_voices_own(engine: BuiltinSpeech):
    text = "We are open from nine to five."
    usual = await spoken(engine, text)
    fast = await spoken(engine, text, SpeechOptions(speed=1.5))
    quiet = await spoken(engine, text, SpeechOptions(volume=0.5))
    loud = await spoken(engine, text, SpeechOptions(volume=4.0))

    assert duration_ms(fast) < 0.8 * duration_ms(usual)
    assert np.abs(samples_of(quiet)).max() < 0.6 * np.abs(samples_of(usual)).max()
    assert np.sqrt(np.mean(samples_of(loud) ** 2)) > 2 * np.sqrt(np.mean(samples_of(usual) ** 2))
    assert np.abs(samples_of(loud)).max() < 32_767


async def test_a_gap_between_words_lengthens_the_speech():
    text = "one two three four five six"
    usual, gaps = (
        BuiltinSpeech(BuiltinSpeechOptions()),
        BuiltinSpeech(BuiltinSpeechOptions(gap_ms=200)),
    )
    try:
        plain, wide = await spoken(usual, text), await spoken(gaps, text)
    finally:
        await usual.close()
        await gaps.close()

    assert duration_ms(wide) > duration_ms(plain) + 500


@pytest.mark.parametrize("text", ["", "  \n", "...", "?!", "👍👍", "<br/>", "\x00\x01"])
async def test_nothing_to_pronounce_is_silence_without_an_error(engine: BuiltinSpeech, text: str):
    assert await spoken(engine, text) == []


async def test_markup_takes_no_time_to_say(engine: BuiltinSpeech):
    marked = await spoken(engine, '<speak version="1.1">**Hello** <break time="9s"/>there</speak>')
    plain = await spoken(engine, "Hello there")

    assert duration_ms(marked) == pytest.approx(duration_ms(plain), abs=150)


async def test_a_very_long_text_starts_and_can_be_left(engine: BuiltinSpeech):
    text = "This is a sentence, with a comma, that goes on for a while. " * 1700

    async with aclosing(engine.synthesize(text, PLAIN)) as pieces:
        first = await anext(pieces)

    assert first.pcm
    assert await spoken(engine, "Still here.")


# ── sharing ──────────────────────────────────────────────────────────────────────────────────


async def test_texts_spoken_at_once_in_several_voices_keep_apart(engine: BuiltinSpeech):
    text = "Hello, this is a sentence. And this is another one, a bit longer than the first."
    voices = ["en-us+f3", "en-gb+m1", "de", "fr"]
    alone = [duration_ms(await spoken(engine, text, SpeechOptions(voice=v))) for v in voices]

    together = await asyncio.gather(*(spoken(engine, text, SpeechOptions(voice=v)) for v in voices))

    assert [duration_ms(p) for p in together] == pytest.approx(alone, abs=60)
    assert {"".join(piece.words for piece in pieces) for pieces in together} == {text}


async def test_a_short_text_does_not_wait_for_a_long_one(engine: BuiltinSpeech):
    ended: list[str] = []

    async def speak(name: str, text: str) -> None:
        await spoken(engine, text)
        ended.append(name)

    await asyncio.gather(
        speak("long", "This is one of very many sentences in a row. " * 40),
        speak("short", "Just this."),
    )

    assert ended == ["short", "long"]


async def test_a_closed_iterator_stops_the_engine_and_nothing_of_it_rings_in_the_next_text(
    engine: BuiltinSpeech,
):
    before = await spoken(engine, "How are you today?")
    for _ in range(5):
        async with aclosing(engine.synthesize("Stop me " * 30, PLAIN)) as pieces:
            await anext(pieces)

    after = await spoken(engine, "How are you today?")

    assert duration_ms(after) == pytest.approx(duration_ms(before), abs=5)


async def test_engines_share_one_thread_and_the_last_to_close_ends_it():
    one, other = BuiltinSpeech(BuiltinSpeechOptions()), BuiltinSpeech(BuiltinSpeechOptions())
    await asyncio.gather(one.warm_up(), other.warm_up())
    assert espeak_threads() == 1

    await one.close()
    assert await spoken(other, "Still open.")
    await other.close()

    assert espeak_threads() == 0


async def test_who_still_speaks_when_the_last_engine_closes_is_told():
    engine = BuiltinSpeech(BuiltinSpeechOptions())
    pieces = engine.synthesize("This goes on for ever. " * 50, PLAIN)
    await anext(pieces)

    await engine.close()

    with pytest.raises(EngineFailed):
        async for _ in pieces:
            pass


def espeak_threads() -> int:
    return sum(thread.name.startswith("espeak") for thread in threading.enumerate())


# ── what is there and what isn't ─────────────────────────────────────────────────────────────


async def test_voices_are_listed_with_language_and_english_variants(engine: BuiltinSpeech):
    voices = {voice.id: voice for voice in engine.voices()}

    assert len(voices) == len(engine.voices()) > 100
    assert voices["de"].name == "German"
    assert voices["en-us+f3"].language == "en-us"
    assert {f"en-gb+m{n}" for n in range(1, 8)} < set(voices)


async def test_every_listed_voice_can_speak(engine: BuiltinSpeech):
    for voice in engine.voices():
        if "+" not in voice.id:
            assert await spoken(engine, "1 2", SpeechOptions(voice=voice.id, speed=2.0)), voice.id


async def test_an_unknown_voice_is_not_found_and_near_ones_are_named(engine: BuiltinSpeech):
    with pytest.raises(NotFound, match=r"'en-us\+f9'.*en-us\+f5"):
        await spoken(engine, "Hello.", SpeechOptions(voice="en-us+f9"))


async def test_ready_with_its_voice(engine: BuiltinSpeech):
    status = await engine.check()

    assert status.ok
    assert "en-us+f3" in status.detail


async def test_a_voice_that_is_not_there_is_seen_by_the_check():
    engine = BuiltinSpeech(BuiltinSpeechOptions(voice="nobody"))

    status = await engine.check()
    await engine.close()

    assert not status.ok
    assert "nobody" in status.detail


def test_without_the_extra_it_says_what_to_install_and_its_licence(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)

    assert not SPEC.available(BuiltinSpeechOptions())
    with pytest.raises(EngineUnavailable, match=r"espeak.*GPL"):
        SPEC.open(BuiltinSpeechOptions())
    with pytest.raises(EngineUnavailable, match="eSpeak NG is licensed"):
        EspeakThread.share()


@pytest.mark.parametrize(
    ("value", "is_ours"),
    [
        ("en-us+f3", True), ("de", True), ("en-GB", True), ("es-419", True),
        ("af_heart", False), ("alloy", False), ("aura-2-thalia-en", False), ("ash", False),
        ("en_US-lessac-medium", False), ("", False),
    ],
)  # fmt: skip
def test_a_shared_voice_name_is_taken_only_if_it_is_written_like_ours(value: str, is_ours: bool):
    assert SPEC.owns_voice(value) is is_ours


def test_options_that_make_no_sense_are_refused():
    for options in ({"rate": 5}, {"pitch": 101}, {"speed": 2}):
        with pytest.raises(ValidationError):
            BuiltinSpeechOptions.model_validate(options)


LONG_PATH = """
import asyncio, sys
from pathlib import Path
from espeakng_loader import get_data_path, get_library_path
from parley.engines.tts.espeak import Espeak, VoiceSetup
from parley.engines.tts.espeak_files import EspeakFiles
data = Path(sys.argv[1]) / ("x" * 180) / "espeak-ng-data"
data.parent.mkdir()
data.symlink_to(get_data_path())
heard = []
espeak = Espeak(EspeakFiles(Path(get_library_path()), data))
voice = VoiceSetup("gmw/en-US+f3", 165, 50, 0)
espeak.speak("Hello.", voice, lambda burst: not heard.append(burst))
print(len(heard))
"""


def test_data_under_a_long_path_is_read_through_a_link_that_is_gone_afterwards(tmp_path: Path):
    home, links = tmp_path / "home", tmp_path / "links"
    home.mkdir()
    links.mkdir()

    done = subprocess.run(
        [sys.executable, "-c", LONG_PATH, str(home)],
        env={"TMPDIR": str(links)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 0
    assert list(links.iterdir()) == []


def test_data_that_is_not_there_is_an_error_and_not_the_end_of_the_process(tmp_path: Path):
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from espeakng_loader import get_library_path\n"
        "from parley.core.errors import EngineUnavailable\n"
        "from parley.engines.tts.espeak import Espeak\n"
        "from parley.engines.tts.espeak_files import EspeakFiles\n"
        "try:\n"
        "    Espeak(EspeakFiles(Path(get_library_path()), Path(sys.argv[1])))\n"
        "except EngineUnavailable as error:\n"
        "    print(error.hint)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "nothing")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "eSpeak NG is licensed" in done.stdout


# ── in a call ────────────────────────────────────────────────────────────────────────────────


async def test_in_a_call_the_words_follow_the_sound(engine: BuiltinSpeech):
    text = "Good morning, this is the practice of Doctor Miller, how can I help you?"
    async with speaking_call(LiveSpeech(engine, PLAIN, output_rate_hz=RATE_HZ)) as call:
        await call.output.hold_back()
        await call.reply(text)
        await call.output.play(1500)
        await call.interrupt()

        words = call.said[0].split()
        assert text.startswith(call.said[0])
        assert 3 <= len(words) <= 8
        assert any(level > LEVEL_STEP for level in call.output.levels)
