"""What takes long to read is refused before it is read."""

from __future__ import annotations

import pytest

from parley.core.errors import TooLarge
from parley.core.json_marks import MOST_MARKS, JsonMarks


@pytest.mark.parametrize("unit", ["0,", "[", "{", '{"a":[]},'])
@pytest.mark.parametrize("encode", [str, str.encode], ids=["text", "bytes"])
def test_many_small_values_are_too_much_however_they_are_written(unit, encode):
    marks = JsonMarks()

    with pytest.raises(TooLarge):
        marks.add(encode(unit * (MOST_MARKS + 1)))


def test_the_pieces_of_a_text_count_together():
    marks, half = JsonMarks(), b"0," * (MOST_MARKS // 2)

    marks.add(half)
    marks.add(half)

    with pytest.raises(TooLarge):
        marks.add(b",")


def test_a_long_string_is_no_work():
    JsonMarks().add(b'{"audio":"' + b"x" * 10_000_000 + b'"}')
