"""WAV files while they arrive."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.errors import EngineFailed
from parley.engines.remote.wav import WavStream, mono

RATE_HZ = 22_050
LABEL = b"LIST" + struct.pack("<I", 5) + b"abcde\0"


def wav(
    pcm: bytes, *, size: int | None = None, channels: int = 1, bits: int = 16, kind: int = 1
) -> bytes:
    form = struct.pack("<HHIIHH", kind, channels, RATE_HZ, RATE_HZ * 2, 2 * channels, bits)
    extra = b"\x16\0" + bytes(22) if kind == 0xFFFE else b""
    head = b"fmt " + struct.pack("<I", len(form) + len(extra)) + form + extra
    data = b"data" + struct.pack("<I", len(pcm) if size is None else size) + pcm
    return b"RIFF\xff\xff\xff\xffWAVE" + LABEL + head + data


def read(file: bytes, cuts: list[int]) -> bytes:
    stream = WavStream("Piper")
    borders = sorted({0, len(file), *(cut % (len(file) + 1) for cut in cuts)})
    found = b""
    for start, end in pairwise(borders):
        audio = stream.push(file[start:end])
        if audio is not None:
            assert len(audio.pcm) % 2 == 0
            assert audio.rate_hz == RATE_HZ
            found += audio.pcm
    stream.end()
    return found


@given(
    st.binary(max_size=400).map(lambda pcm: pcm[: len(pcm) // 2 * 2]),
    st.lists(st.integers(0, 1000), max_size=20),
    st.sampled_from([1, 0xFFFE]),
)
def test_wherever_the_file_is_cut_its_sound_is_all_there(
    pcm: bytes, cuts: list[int], kind: int
) -> None:
    assert read(wav(pcm, kind=kind) + (LABEL if pcm else b""), cuts) == pcm


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_that_means_unknown_is_not_believed(size: int) -> None:
    assert read(wav(b"abcdef", size=size), [50, 60]) == b"abcdef"


def test_two_channels_become_one() -> None:
    stereo = np.array([100, 300, -100, -300], np.int16).tobytes()

    assert mono(stereo) == np.array([200, -200], np.int16).tobytes()
    assert read(wav(stereo, channels=2), [61, 63]) == mono(stereo)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"RIFF",
        b"<!doctype html><html></html>",
        b"RIFF\0\0\0\0WAVEdata\0\0\0\0",
        b"RIFF\0\0\0\0WAVE" + b"JUNK\xf0\xff\x01\0" + bytes(70_000),
        wav(b"ab", bits=8),
        wav(b"ab", kind=3),
        wav(b"ab", channels=6),
    ],
)
def test_what_is_no_such_file_is_refused(file: bytes) -> None:
    with pytest.raises(EngineFailed, match="Piper"):
        read(file, [3, 20])


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_nothing_that_arrives_breaks_it_otherwise(junk: bytes, cuts: list[int]) -> None:
    try:
        read(b"RIFF\0\0\0\0WAVE" + junk, cuts)
    except EngineFailed:
        return
    except AssertionError:
        # A header that happened to be valid may name another rate.
        return
