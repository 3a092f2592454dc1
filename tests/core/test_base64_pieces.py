"""Base64 is decoded a piece at a time, and as strictly as in one."""

from __future__ import annotations

import base64
import os

import pytest

from parley.core.base64_pieces import PIECE_CHARACTERS, decoded_pieces


@pytest.mark.parametrize("length", [0, 1, 2, 3, PIECE_CHARACTERS * 3 // 4 + 1, 200_000])
def test_the_pieces_are_the_whole(length):
    sound = os.urandom(length)

    pieces = list(decoded_pieces(base64.b64encode(sound).decode()))

    assert b"".join(pieces) == sound
    assert all(len(piece) <= PIECE_CHARACTERS * 3 // 4 for piece in pieces)


@pytest.mark.parametrize(
    "text",
    ["AAA", "A===", "AA==AA==", "AA==" + "A" * PIECE_CHARACTERS, "A A=", "AAA\n", "äAAA", "====",
     "A" * PIECE_CHARACTERS + "?AAA"],
)  # fmt: skip
def test_what_is_no_base64_is_refused_wherever_its_fault_is(text):
    with pytest.raises(ValueError):
        list(decoded_pieces(text))
