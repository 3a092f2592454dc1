"""One text's sound in portions, and the words that each completes."""

from __future__ import annotations

import pytest

from parley.core.audio import Audio, pcm_bytes
from parley.engines.tts.utterance import CHUNK_MS, PORTION_MS, Portion, SpeakingRate, Utterance

RATE_HZ = 16_000
CHUNK = pcm_bytes(CHUNK_MS, RATE_HZ)


def sound(duration_ms: float, words: str = "") -> Audio:
    return Audio(b"\1\0" * (pcm_bytes(duration_ms, RATE_HZ) // 2), RATE_HZ, words)


def portions(utterance: Utterance, *sounds: Audio, is_hurried: bool = False) -> list[Portion]:
    given = [p for s in sounds for p in utterance.take(s, is_hurried=is_hurried)]
    return given + list(utterance.end())


def told_at(given: list[Portion]) -> dict[int, int]:
    """After how many ms each number of words is known to be done."""
    found: dict[int, int] = {}
    at = 0
    for portion in given:
        at += len(portion.pcm) * CHUNK_MS // CHUNK
        found.setdefault(portion.words_done, at)
    return found


def test_a_word_is_told_with_the_chunk_that_ends_it():
    given = portions(
        Utterance("one two three", RATE_HZ, SpeakingRate()),
        sound(110, "one "), sound(130, "two "), sound(55, "three"),
    )  # fmt: skip

    told = told_at(given)
    assert [told[n] for n in (1, 2, 3)] == [120, 240, 300]


def test_portions_are_whole_chunks_and_nothing_is_lost_or_added_but_the_last_ones_filling():
    given = portions(Utterance("a b", RATE_HZ, SpeakingRate()), sound(33), sound(77), sound(101))

    assert all(len(p.pcm) % CHUNK == 0 for p in given)
    whole = b"".join(p.pcm for p in given)
    assert whole.rstrip(b"\0") + b"\0" == b"\1\0" * (pcm_bytes(211, RATE_HZ) // 2)
    assert len(whole) == 11 * CHUNK


def test_in_a_hurry_sound_goes_out_as_it_comes_and_otherwise_in_larger_portions():
    hurried = Utterance("a b", RATE_HZ, SpeakingRate())
    calm = Utterance("a b", RATE_HZ, SpeakingRate())

    assert [len(p.pcm) for p in hurried.take(sound(40), is_hurried=True)] == [2 * CHUNK]
    assert list(calm.take(sound(40), is_hurried=False)) == []
    assert [len(p.pcm) for p in calm.take(sound(80), is_hurried=False)] == [
        PORTION_MS // CHUNK_MS * CHUNK
    ]


def test_one_long_sound_is_cut_into_portions():
    given = portions(Utterance("a b", RATE_HZ, SpeakingRate()), sound(1000, "a b"))

    assert max(len(p.pcm) for p in given) <= PORTION_MS // CHUNK_MS * CHUNK
    assert [p.words_done for p in given] == [0] * 9 + [2]


def test_an_engine_that_makes_no_sound_tells_no_words():
    assert portions(Utterance("a b", RATE_HZ, SpeakingRate())) == []


def test_words_are_guessed_at_the_rate_that_was_learnt_and_the_last_one_waits_for_the_end():
    rate = SpeakingRate()
    portions(Utterance("ten letters", RATE_HZ, rate), sound(1000))

    given = portions(Utterance("12345 12345 12345 12345", RATE_HZ, rate), sound(2400))

    told = told_at(given)
    assert [told[n] for n in (1, 2, 3)] == pytest.approx([500, 1000, 1500], abs=100)
    assert told[4] == 2400


def test_an_engine_that_tells_words_late_is_not_second_guessed():
    rate = SpeakingRate()
    portions(Utterance("one two", RATE_HZ, rate), sound(500, "one "), sound(500, "two"))

    given = portions(
        Utterance("one two", RATE_HZ, rate), sound(3000), sound(100, "one "), sound(100, "two")
    )

    assert told_at(given) == {0: 100, 1: 3100, 2: 3200}


def test_words_that_the_engine_forgot_are_told_at_the_end():
    given = portions(Utterance("one two three", RATE_HZ, SpeakingRate()), sound(300, "one "))

    assert given[-1].words_done == 3


def test_sound_of_another_rate_is_brought_to_the_outputs_whole():
    utterance = Utterance("one two", RATE_HZ, SpeakingRate())
    at_22_khz = Audio(b"\1\0" * 22_050, 22_050, "one ")
    at_48_khz = Audio(b"\1\0" * 48_000, 48_000, "two")

    given = portions(utterance, at_22_khz, at_48_khz)

    assert told_at(given)[2] == pytest.approx(2000, abs=CHUNK_MS)


def test_a_sample_that_an_engine_tears_apart_is_put_together():
    utterance = Utterance("one", RATE_HZ, SpeakingRate())
    whole = b"\1\2" * (CHUNK // 2)

    given = portions(utterance, Audio(whole[:101], RATE_HZ), Audio(whole[101:], RATE_HZ, "one"))

    assert b"".join(p.pcm for p in given) == whole
