"""What the RustPBX bench makes of what it heard, and of what the server held."""

from __future__ import annotations

import asyncio
import math
import signal
from pathlib import Path

import numpy as np
import pytest
from bench.rustpbx_caller import PACKET_BYTES, PieceEar
from bench.rustpbx_pacing import Paced, against_the_clock, leads_ms
from bench.rustpbx_soak import Held, Soak
from bench.watched import teller

EVENLY = [10.0 + number * 0.02 for number in range(50)]


def test_an_even_voice_has_no_errors_and_never_leads() -> None:
    errors_ms, skipped = against_the_clock(EVENLY)

    assert errors_ms == pytest.approx([0.0] * 50, abs=1e-6)
    assert skipped == 0
    assert leads_ms(EVENLY) == pytest.approx([0.0] * 50, abs=1e-6)


@pytest.mark.parametrize("late_ms", [7, 14, 30])
@pytest.mark.parametrize("which", [0, 9, 40])
def test_one_late_piece_is_one_error(late_ms: int, which: int) -> None:
    late = [at_s + (late_ms / 1000 if n == which else 0) for n, at_s in enumerate(EVENLY)]

    errors_ms, skipped = against_the_clock(late)

    assert sorted(errors_ms)[-2:] == pytest.approx([0.0, late_ms], abs=1e-6)
    assert skipped == 0


def test_a_voice_that_has_nothing_to_say_skips_its_turn_and_is_not_late() -> None:
    paused = [at_s + (0.1 if number >= 30 else 0) for number, at_s in enumerate(EVENLY)]

    errors_ms, skipped = against_the_clock(paused)

    assert skipped == 5
    assert errors_ms == pytest.approx([0.0] * 50, abs=1e-6)


def test_a_voice_that_gets_later_and_later_is_told_by_the_turns_that_it_missed() -> None:
    slow = [10.0 + number * 0.024 for number in range(50)]

    errors_ms, skipped = against_the_clock(slow)

    assert skipped == pytest.approx(50 * 0.004 / 0.02, abs=1)
    assert max(errors_ms) > 9


def test_a_voice_that_stops_and_hurries_after_the_clock_was_late() -> None:
    stalled = [10.0, 10.02, 10.04, 10.16, 10.16, 10.16, 10.16, 10.16, 10.16, *EVENLY[9:]]

    errors_ms, skipped = against_the_clock(stalled)

    assert skipped == 0
    assert errors_ms[2:9] == pytest.approx([0, 100, 80, 60, 40, 20, 0], abs=1e-6)
    assert errors_ms[9:] == pytest.approx([0.0] * 41, abs=1e-6)


def test_what_comes_in_a_burst_leads_by_its_length() -> None:
    burst = [10.0, 10.0, 10.0, 10.0, 10.02]

    assert leads_ms(burst) == pytest.approx([0, 20, 40, 60, 60])


def test_each_utterance_has_a_clock_of_its_own() -> None:
    ear, paced = PieceEar(), Paced()
    piece = np.full(PACKET_BYTES // 2, 9000, np.int16).tobytes()
    for began_s in (10.0, 20.007):
        ear.begin_utterance()
        for number in range(5):
            ear.hear(piece, began_s + number * 0.02)
    ear.hear(piece[:-2], 20.107)

    paced.add(ear)
    figures = paced.figures("a_")

    assert figures["a_pieces"] == 11
    assert figures["a_wrong_pieces"] == 1
    assert float(figures["a_pacing_p99_ms"] or 0) == pytest.approx(0, abs=1e-6)
    assert ear.last_sound_s == pytest.approx(20.127, abs=0.001)


def test_nothing_heard_is_no_figure() -> None:
    figures = Paced().figures()

    assert math.isnan(float(figures["pacing_p99_ms"] or 0))
    assert math.isnan(float(figures["lead_max_ms"] or 0))
    assert against_the_clock([]) == ([], 0)


def test_memory_that_goes_up_and_down_with_the_calls_has_not_grown() -> None:
    still, leaking = [100.0, 104.0] * 30, [100.0 + number for number in range(60)]
    held = Held(90, 20, 30)

    assert Soak(held, held, still).growth_mb == 0
    assert Soak(held, held, leaking).growth_mb == 40


def test_tasks_and_files_that_are_left_behind_are_told() -> None:
    before = Held(90, 20, ["/data/parley.db", "socket:[1]"])
    after = Held(91, 22, ["/data/parley.db", "socket:[1]", "socket:[2]", "/data/parley.db-wal"])

    figures = Soak(before, after, [90.0] * 9).figures()

    assert figures["soak_growth_tasks"] == 2
    assert figures["soak_growth_files"] == 1
    assert figures["soak_database_files_after"] == 2
    assert figures["soak_growth_mb"] == 0


async def test_a_server_that_is_asked_says_how_many_tasks_it_has(tmp_path: Path) -> None:
    file = tmp_path / "tasks"
    waiting = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
    before = signal.signal(signal.SIGUSR2, teller(file))
    try:
        signal.raise_signal(signal.SIGUSR2)
        told = file.read_text()
    finally:
        signal.signal(signal.SIGUSR2, before)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    assert int(told) == 1 + len(waiting)
