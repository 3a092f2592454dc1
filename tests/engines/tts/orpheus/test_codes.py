"""Tokens to frames: by id, whatever is lost or put in between."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.engines.tts.orpheus.codes import (
    CODES,
    END_OF_AI,
    END_OF_SPEECH,
    END_OF_TEXT,
    FIRST_AUDIO,
    LAST_AUDIO,
    MOST_STRAY,
    SLOTS,
    FrameParser,
    TokenText,
    token_id,
)
from tests.engines.servers.orpheus_talker import ids_of, text_of

codes = st.tuples(*[st.integers(0, CODES - 1)] * SLOTS)
frames = st.lists(codes, max_size=12)


def parsed(ids: Sequence[int], parser: FrameParser | None = None) -> list[tuple[int, ...]]:
    return list((parser or FrameParser(most_resyncs=1000)).push(ids))


def test_ids_are_those_of_the_checkpoints():
    assert (FIRST_AUDIO, LAST_AUDIO) == (128_266, 156_937)
    assert token_id(6, 4095) == LAST_AUDIO


@given(frames=frames)
def test_whole_frames_come_out_as_they_went_in(frames: list[tuple[int, ...]]):
    assert parsed([*ids_of(frames), END_OF_SPEECH]) == frames


@pytest.mark.parametrize("code", [0, 4095])
@pytest.mark.parametrize("slot", range(SLOTS))
def test_the_first_and_the_last_code_are_legal_in_every_slot(slot: int, code: int):
    frame = [7] * SLOTS
    frame[slot] = code

    assert parsed(ids_of([frame, frame])) == [tuple(frame)] * 2


@given(frames=st.lists(codes, min_size=3, max_size=12), data=st.data())
def test_a_lost_a_doubled_or_a_wrong_token_costs_one_frame_at_most(
    frames: list[tuple[int, ...]], data: st.DataObject
):
    ids = ids_of(frames)
    at = data.draw(st.integers(0, len(ids) - 1))
    fault = data.draw(st.sampled_from(["lost", "doubled", "wrong"]))
    wrong = data.draw(st.integers(FIRST_AUDIO, LAST_AUDIO))
    middle = {"lost": [], "doubled": [ids[at]] * 2, "wrong": [wrong]}[fault]
    parser = FrameParser(most_resyncs=1000)

    found = parsed([*ids[:at], *middle, *ids[at + 1 :]], parser)

    hit = at // SLOTS
    others = frames[:hit] + frames[hit + 1 :]
    assert found in (others, frames) or (fault == "wrong" and len(found) == len(frames))
    assert parser.resyncs <= 2


@given(frames=frames, data=st.data())
def test_text_between_audio_tokens_uses_up_no_slot(
    frames: list[tuple[int, ...]], data: st.DataObject
):
    ids = ids_of(frames)
    for _ in range(data.draw(st.integers(0, 5))):
        ids.insert(data.draw(st.integers(0, len(ids))), data.draw(st.integers(0, 127_999)))

    assert parsed(ids) == frames


@given(ids=st.lists(st.integers(0, LAST_AUDIO + 5000), max_size=200))
def test_whatever_comes_frames_hold_codes_and_nothing_is_raised(ids: list[int]):
    parser = FrameParser()

    found = parsed(ids, parser)

    assert all(0 <= code < CODES for frame in found for code in frame)
    assert parser.frames == len(found) <= parser.tokens // SLOTS


@pytest.mark.parametrize("end", [END_OF_SPEECH, END_OF_AI, END_OF_TEXT])
def test_nothing_is_read_behind_the_end(end: int):
    parser = FrameParser()

    found = parsed([*ids_of([[1] * 7]), end, *ids_of([[2] * 7])], parser)

    assert found == [(1,) * 7]
    assert parser.has_ended


def test_a_head_that_the_model_writes_for_itself_is_passed_over():
    head = [END_OF_TEXT, 128_260, 128_261, 128_257]

    assert parsed([*head, *ids_of([[1] * 7])]) == [(1,) * 7]


def test_a_model_that_loses_its_slots_again_and_again_has_derailed():
    bad = [token_id(0, 1), token_id(2, 1)]
    parser = FrameParser(most_resyncs=5)

    parsed(bad * 5, parser)
    assert not parser.is_derailed
    parsed(bad, parser)

    assert parser.is_derailed
    assert parsed(ids_of([[1] * 7]), parser) == []


def test_a_long_run_without_a_frame_has_derailed():
    parser = FrameParser()

    parsed([token_id(3, 1)] * (MOST_STRAY + 1), parser)

    assert parser.is_derailed


@given(frames=frames, cuts=st.lists(st.integers(0, 2000)))
def test_text_says_the_same_as_ids_however_it_is_cut(
    frames: list[tuple[int, ...]], cuts: list[int]
):
    ids = [*ids_of(frames), END_OF_SPEECH]
    text = text_of(ids)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    reader = TokenText()

    read = [reader.push(text[a:b]) for a, b in pairwise(places)]

    assert [token for found in read for token in found] == ids
    assert reader.other_characters == 0


@given(text=st.text(alphabet="<custom_token_12>|eot_id ", max_size=60), cut=st.integers(0, 60))
def test_whatever_the_text_a_cut_changes_nothing(text: str, cut: int):
    whole, halves = TokenText(), TokenText()

    expected = whole.push(text + "\n")
    found = [*halves.push(text[:cut]), *halves.push(text[cut:] + "\n")]

    assert found == expected
    assert halves.other_characters == whole.other_characters


def test_words_are_counted_as_what_they_are():
    reader = TokenText()

    assert reader.push("Certainly! <custom_token_10> <b>") == [FIRST_AUDIO]
    assert reader.other_characters == len("Certainly!<b>")
