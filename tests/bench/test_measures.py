"""What the benches compute from what they saw."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bench.crowd import Window
from bench.density import Run, Search, is_held, summarise
from bench.ear import lateness_ms, spacing_errors_ms
from bench.figures import median, percentile
from bench.speech import PACKET_BYTES, PACKET_SAMPLES, utterance
from bench.turns import Turn

TICKS = PACKET_SAMPLES


def test_packets_that_keep_their_distance_have_no_spacing_error() -> None:
    arrived_s = [5.0, 5.02, 5.04, 5.06]
    timestamps = [0xFFFFFFFF - TICKS + 1, 0, TICKS, 2 * TICKS]

    errors = spacing_errors_ms(arrived_s, timestamps)

    assert errors == pytest.approx([0, 0, 0], abs=1e-6)


def test_one_late_packet_is_wrong_on_both_sides_but_late_once() -> None:
    arrived_s = [1.0, 1.02, 1.055, 1.06]
    timestamps = [TICKS * n for n in range(4)]

    errors, late = spacing_errors_ms(arrived_s, timestamps), lateness_ms(arrived_s, timestamps)

    assert errors == pytest.approx([0, 15, 15], abs=1e-6)
    assert late == pytest.approx([0, 0, 15, 0], abs=1e-6)


def test_a_sender_that_falls_behind_evenly_shows_in_lateness_only() -> None:
    arrived_s = [n * 0.022 for n in range(1000)]
    timestamps = [TICKS * n for n in range(1000)]

    errors, late = spacing_errors_ms(arrived_s, timestamps), lateness_ms(arrived_s, timestamps)

    assert max(errors) == pytest.approx(2)
    assert max(late) == pytest.approx(999 * 2)


def test_an_utterance_ends_audibly_at_the_end_of_a_packet() -> None:
    sound = np.full(1500, 5000, dtype=np.int16)
    fading = np.full(700, 100, dtype=np.int16)

    speech = utterance("hello", np.concatenate([sound, fading]).tobytes())

    samples = np.frombuffer(speech.pcm, dtype=np.int16)
    last_audible = int(np.flatnonzero(np.abs(samples) == 5000)[-1])
    assert len(speech.pcm) % PACKET_BYTES == 0
    assert last_audible == (speech.last_packet + 1) * PACKET_SAMPLES - 1
    assert int((samples == 5000).sum()) == 1500


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 21)]

    assert percentile(values, 0.95) == 19
    assert percentile(values, 0.5) == 10
    assert math.isnan(percentile([], 0.5))
    assert median([3.0, 1.0, 2.0, 10.0]) == 2.5


def test_recognition_counts_only_as_far_as_it_delays_the_turns_end() -> None:
    stages = {
        "endpointing_ms": 260.0,
        "silence_ms": 200.0,
        "stt_ms": 90.0,
        "llm_ms": 5.0,
        "tts_ms": 20.0,
        "reply_ms": 285.0,
    }

    turn = Turn(
        said="hello",
        understood_as="Hello.",
        reply_ms=325.0,
        transport_out_ms=15.0,
        stages=stages,
    )

    assert turn.is_understood
    assert not turn.is_unsure
    assert turn.work_ms == 125.0
    assert turn.overhead_ms == 125.0 - 60.0 - 5.0 - 20.0
    assert turn.transport_in_ms == 25.0


def test_a_wait_after_an_unsure_verdict_is_silence_and_not_work() -> None:
    stages = {
        "endpointing_ms": 800.0,
        "silence_ms": 800.0,
        "stt_ms": 90.0,
        "llm_ms": 5.0,
        "tts_ms": 20.0,
        "reply_ms": 825.0,
    }

    turn = Turn(said="hello", understood_as="hello", reply_ms=865.0, stages=stages)

    assert turn.is_unsure
    assert turn.work_ms == 65.0
    assert turn.overhead_ms == 40.0


def test_calls_whose_packets_fall_behind_are_not_held() -> None:
    held = [_window(4), _window(6)]
    behind = _window(8, lateness_p95_ms=200.0)

    search = Search(100.0, (*held, behind, _window(10)))

    assert not is_held(behind)
    assert search.held == 6


def test_costs_are_compared_at_a_number_of_calls_that_both_held() -> None:
    plain = Search(100.0, (_window(4, cpu=0.48, memory_mb=340.0), _window(6, lateness_p95_ms=90.0)))
    ours = Search(90.0, (_window(4, cpu=0.28, memory_mb=130.0), _window(8)))

    figures = summarise([Run(plain, ours)])

    assert figures["equal_calls"] == 4
    assert figures["density_ratio"] == 2.0
    assert figures["cpu_per_call_ratio"] == pytest.approx(0.48 / 0.28)
    assert (figures["mb_per_call"], figures["plain_mb_per_call"]) == (10.0, 60.0)


def _window(
    calls: int, *, lateness_p95_ms: float = 5.0, cpu: float = 0.5, memory_mb: float = 200.0
) -> Window:
    return Window(
        calls=calls,
        spacing_p95_ms=4.0,
        lateness_p95_ms=lateness_p95_ms,
        spoken_share=1.0,
        cpu_share=cpu,
        memory_mb=memory_mb,
        callers_late_p95_ms=1.0,
        others_cpu_cores=0.0,
    )
