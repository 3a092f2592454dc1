"""A voice that fails is replaced by one that speaks what is missing, and nothing twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parley.core.audio import Audio
from parley.core.errors import EngineFailed
from parley.engines.spec import SpeechOptions, performed_tags
from parley.testing.faults import Fault
from parley.testing.speech import LEVEL_STEP, FakeSynthesizer
from tests.engines.fallback.chains import FAULTS, Told, chain_of

TEXT = "One two three four five."
LOST = EngineFailed("The connection was lost.")


def voice(fault: Fault | None = None, **changes: Any) -> FakeSynthesizer:
    return FakeSynthesizer(**{"word_ms": 40, "piece_ms": 20, **changes}, fault=fault)


async def speak(speech: Any, text: str = TEXT, **options: Any) -> list[Audio]:
    return [sound async for sound in speech.synthesize(text, SpeechOptions(**options))]


def words_in(sounds: list[Audio]) -> str:
    return "".join(sound.words for sound in sounds)


def levels(sounds: list[Audio]) -> list[int]:
    pcm = np.frombuffer(b"".join(sound.pcm for sound in sounds), np.int16)
    numbers = [int(level) // LEVEL_STEP for level in pcm]
    return [n for n, before in zip(numbers, [0, *numbers], strict=False) if n != before]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_whatever_is_wrong_with_a_voice_the_whole_sentence_is_heard_once(fault: Fault):
    first, second = voice(fault), voice()
    told = Told()

    sounds = await speak(chain_of("tts", first, second).for_call(told))

    assert words_in(sounds) == TEXT
    assert told.names == [("first", "second")]
    assert first.open_iterators == second.open_iterators == 0


async def test_the_next_voice_begins_behind_the_last_whole_word():
    first, second = voice(Fault(after=5, error=LOST)), voice()

    sounds = await speak(chain_of("tts", first, second))

    assert second.texts == ["three four five."]
    # Two words and half of the third; then the second voice counts from one.
    assert levels(sounds) == [1, 2, 3, 1, 2, 3]


async def test_where_a_voice_tells_no_words_they_are_estimated_from_the_time():
    first = voice(Fault(after=20, error=LOST), tells_words=False, word_ms=300)
    second = voice()

    sounds = await speak(chain_of("tts", first, second))

    # 400 ms at 13 letters a second are five letters: "One" is complete, "two" is not.
    assert second.texts == ["two three four five."]
    assert words_in(sounds) == TEXT


async def test_a_voice_that_fails_behind_its_last_word_has_said_everything():
    first, second = voice(Fault(after=10, error=LOST)), voice()
    told = Told()

    sounds = await speak(chain_of("tts", first, second).for_call(told))

    assert words_in(sounds) == TEXT
    assert second.texts == []


async def test_a_voice_of_one_engine_is_not_asked_of_another():
    first, second = voice(FAULTS["answers 500"]), voice()

    await speak(chain_of("tts", first, second), voice="heart", tenant="acme")

    assert first.options[0].voice == "heart"
    assert second.options == [SpeechOptions(tenant="acme")]


async def test_a_text_without_anything_to_pronounce_is_nobodys_failure():
    class Mute(FakeSynthesizer):
        async def synthesize(self, text, options):
            for sound in ():
                yield sound

    speech = chain_of("tts", Mute())

    assert await speak(speech, "…") == []
    with pytest.raises(EngineFailed, match="made no sound"):
        await speak(speech, "Hello.")


async def test_tags_are_acted_out_by_the_voice_that_can_and_read_aloud_by_none():
    class Actor(FakeSynthesizer):
        tags = frozenset({"laugh"})

    first, second = Actor(fault=FAULTS["answers 500"]), voice()
    speech = chain_of("tts", first, second)

    await speak(speech, "Well <laugh> <break time='1s'/> yes.")

    assert performed_tags(speech) == {"laugh", "break"}
    assert performed_tags(chain_of("tts", second)) == frozenset()
    assert "<laugh>" in first.texts[0]
    assert second.texts == ["Well yes."]


async def test_a_listener_who_takes_his_time_is_not_the_engines_drip():
    speech = chain_of("tts", voice(), voice())
    told = Told()

    sounds = speech.for_call(told).synthesize(TEXT, SpeechOptions())
    await anext(sounds)
    rest = [sound async for sound in sounds]

    assert len(rest) == 9
    assert told.all == []
