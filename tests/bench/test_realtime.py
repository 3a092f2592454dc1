"""What the Realtime bench makes of what it heard."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bench.realtime import with_stages
from bench.realtime_caller import RATE_HZ, DeltaEar
from bench.turns import Turn

STAGES = {"endpointing_ms": 300.0, "silence_ms": 200.0, "llm_ms": 10.0, "tts_ms": 50.0}


def test_the_stages_belong_to_the_turns_that_were_answered_in_their_order() -> None:
    turns = [Turn("a", "a", 500), Turn("b", "", math.nan), Turn("c", "c", 600)]

    told = with_stages(turns, [STAGES, {**STAGES, "llm_ms": 20.0}])

    assert [turn.stages.get("llm_ms") for turn in told] == [10.0, None, 20.0]
    assert [told[0].work_ms, told[2].work_ms] == [300, 400]


def test_stages_that_cannot_be_told_apart_are_nobodys() -> None:
    turns = [Turn("a", "a", 500), Turn("b", "b", 600)]

    assert with_stages(turns, [STAGES]) == turns


def test_sound_is_heard_when_it_is_played_and_silence_before_it_is_not() -> None:
    ear = DeltaEar()
    silent, loud = np.zeros(RATE_HZ // 10, np.int16), np.full(RATE_HZ // 10, 9000, np.int16)

    ear.hear(silent.tobytes())
    ear.hear(loud.tobytes())

    (arrived_s, _), (heard_s,) = ear.arrived_s, ear.sound_s
    assert heard_s - arrived_s == pytest.approx(0.1, abs=0.02)
    assert ear.last_sound_s - heard_s == pytest.approx(0.1, abs=0.001)
