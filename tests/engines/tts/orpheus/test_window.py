"""Pieces decoded one by one against one decode of the whole, on a decoder of the true reach."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from parley.engines.tts.orpheus.snac import decode_one, layers_of
from parley.engines.tts.orpheus.window import CONTEXT, FrameWindow, Slice
from tests.engines.servers.orpheus_talker import random_frames
from tests.engines.tts.orpheus.sounds import FRAME, Sound, error_db, tiny_codec, whole_sound


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def slices_of(
    window: FrameWindow, frames: int, before_each: Callable[[], None] = lambda: None
) -> list[Slice]:
    found: list[Slice] = []
    for frame in random_frames(frames).tolist():
        before_each()
        window.push(tuple(frame))
        if part := window.ready():
            found.append(part)
    if part := window.flush():
        found.append(part)
    return found


def streamed(window: FrameWindow, frames: int) -> Sound:
    codec = tiny_codec()
    parts = [part.cut(decode_one(codec, part.codes)) for part in slices_of(window, frames)]
    return np.concatenate(parts)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 8, 13, 40])
def test_with_three_frames_of_look_ahead_pieces_are_what_the_whole_is(frames: int):
    sound = streamed(FrameWindow(look_ahead=3, clock_s=Clock()), frames)

    expected = whole_sound(random_frames(frames))
    assert len(sound) == FRAME * frames
    assert np.abs(sound - expected).max() <= 1e-5


@pytest.mark.parametrize("frames", [5, 13, 40, 120])
def test_with_two_frames_of_look_ahead_the_error_stays_under_80_db(frames: int):
    sound = streamed(FrameWindow(look_ahead=2, clock_s=Clock()), frames)

    assert len(sound) == FRAME * frames
    assert error_db(sound, whole_sound(random_frames(frames))) < -80


def test_a_first_frame_that_comes_early_costs_exactness_in_that_frame_only():
    sound = streamed(FrameWindow(look_ahead=3, first_look_ahead=1, clock_s=Clock()), 20)

    expected = whole_sound(random_frames(20))
    assert error_db(sound[:FRAME], expected[:FRAME]) < -25
    assert np.abs(sound[FRAME:] - expected[FRAME:]).max() <= 1e-5


@pytest.mark.parametrize(("look_ahead", "first"), [(1, None), (2, None), (3, None), (3, 1)])
def test_the_first_frame_is_decoded_once_its_look_ahead_is_there(
    look_ahead: int, first: int | None
):
    window = FrameWindow(look_ahead=look_ahead, first_look_ahead=first)
    wanted = 1 + (look_ahead if first is None else first)

    for number in range(1, wanted + 1):
        window.push((0,) * 7)
        part = window.ready()
        assert (part is not None) is (number == wanted)


def test_batches_grow_and_every_frame_is_kept_once():
    parts = slices_of(FrameWindow(clock_s=Clock()), 30)

    assert [part.keep for part in parts] == [1, 2, 4, 8, 8, 7]
    assert sum(part.keep for part in parts) == 30


def test_batches_stay_small_while_tokens_come_hardly_faster_than_they_are_heard():
    clock = Clock()

    def tick() -> None:
        clock.now_s += 0.080

    parts = slices_of(FrameWindow(clock_s=clock), 20, tick)

    assert {part.keep for part in parts[:-1]} == {1}


def test_who_is_late_decodes_much_at_once():
    clock = Clock()

    def tick() -> None:
        clock.now_s += 0.2

    parts = slices_of(FrameWindow(clock_s=clock), 40, tick)

    assert max(part.keep for part in parts) == 8


def test_slices_never_hold_more_than_a_batch_and_its_neighbours():
    window = FrameWindow(look_ahead=3, clock_s=Clock())
    longest = 0

    for _ in range(8000):
        window.push((1,) * 7)
        if part := window.ready():
            longest = max(longest, len(part.codes))

    assert longest == CONTEXT + 8 + 3


def test_codes_go_to_their_layers_in_the_order_of_training():
    frames = np.arange(14).reshape(1, 2, 7)

    first, second, third = layers_of(frames)

    assert first.tolist() == [[0, 7]]
    assert second.tolist() == [[1, 4, 8, 11]]
    assert third.tolist() == [[2, 3, 5, 6, 9, 10, 12, 13]]
