"""The telephone's sound is told from wide sound, and understood nearly as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parley.engines.llm.scripted.chatter import SPEC as SCRIPTED
from parley.engines.stt.narrow_band import MAP_OF_G711, is_narrow, write_mllr
from parley.engines.stt.sphinx import RATE_HZ, ROOM_NOISE, SphinxRecogniser
from tests.caller_voice import recorded
from tests.learn_narrow_band import learn, reader
from tests.record_callers import SENTENCES, through, understood

QUIET = bytes(RATE_HZ)
RATES_HZ = {"pcm_mulaw": 8000, "pcm_alaw": 8000, "g722": 16_000, "libopus": 48_000}


def by_way_of(codec: str, pcm: bytes, loudness: float = 1.0) -> bytes:
    """The sound as it comes out of a codec, in a room."""
    quieter = (np.frombuffer(pcm, np.int16) * loudness).astype(np.int16).tobytes()
    heard = through(codec, RATES_HZ[codec], QUIET + quieter + QUIET) if codec else quieter
    samples = np.frombuffer(heard, np.int16)
    noise = np.random.default_rng(1).normal(0, ROOM_NOISE, len(samples))
    return np.clip(samples + noise, -32768, 32767).astype(np.int16).tobytes()


@pytest.mark.parametrize("loudness", [1.0, 0.2])
@pytest.mark.parametrize("codec", ["", *RATES_HZ])
def test_sound_of_the_telephone_network_is_told_from_wide_sound(codec: str, loudness: float):
    told = {is_narrow(by_way_of(codec, recorded(text), loudness), ROOM_NOISE) for text in SENTENCES}

    assert told == {RATES_HZ.get(codec) == 8000}


@pytest.mark.parametrize("loudness", [0.0, 10.0, 300.0])
def test_what_is_no_voice_is_not_taken_for_a_telephone(loudness: float):
    noise = np.random.default_rng(2).normal(0, loudness, RATE_HZ).astype(np.int16).tobytes()

    assert not is_narrow(by_way_of("", noise), ROOM_NOISE)
    assert not is_narrow(b"", ROOM_NOISE)


def test_sentences_of_a_script_are_understood_by_telephone():
    grammar = SCRIPTED.open(SCRIPTED.options(script="receptionist")).grammar()
    recogniser = SphinxRecogniser({"ears": 1})

    heard = [
        understood(recogniser, grammar, through("pcm_mulaw", 8000, QUIET + recorded(text) + QUIET))
        for text in SENTENCES
    ]

    # All 13 as a rule; without the map 8.
    assert sum(text == said for text, said in zip(heard, SENTENCES, strict=True)) >= 11, heard


def test_wide_sound_after_the_telephones_is_understood_by_the_same_ear():
    recogniser = SphinxRecogniser({"ears": 1})
    grammar = "#JSGF V1.0; grammar g; public <said> = where are you | what time is it;"
    wide = QUIET + recorded("what time is it") + QUIET
    turns = [wide, through("pcm_mulaw", 8000, wide), wide]

    assert [understood(recogniser, grammar, pcm) for pcm in turns] == ["what time is it"] * 3


def test_the_map_is_what_a_readers_sentences_and_g711_say():
    written = np.array([line.split() for line in MAP_OF_G711.strip().splitlines()], float)

    assert np.abs(learn(reader()) - written).max() < 0.02


def test_the_map_is_written_once_for_each_of_the_models_three_streams(tmp_path: Path):
    write_mllr(tmp_path / "map")

    lines = (tmp_path / "map").read_text().splitlines()
    assert lines[:3] == ["1", "3", "13"]
    assert len(lines) == 2 + 3 * (1 + 13 + 2)
    assert {len(line.split()) for line in lines[3:16]} == {13}
