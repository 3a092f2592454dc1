"""The form reader: however a body is cut into pieces, the same parts come out, or an error."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from parley.api.openai.multipart import MultipartReader, PartBegins, PartData
from parley.core.errors import BadRequest

TYPE = "multipart/form-data; boundary=edge"
SOUND = b"RIFF\r\n--edg\r\n--\r\n\r\n --edge inside a line\x00\xff" * 3
BODY = (
    b'preamble\r\n--edge\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b"--edge  \r\ncontent-disposition: form-data; "
    b'name="file"; filename="gr\xc3\xbc\xc3\x9fe.wav"\r\n'
    b"Content-Type: audio/wav\r\nX-Other: y\r\n\r\n" + SOUND + b"\r\n"
    b'--edge\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n--edge--\r\nepilogue'
)


def read(body: bytes, cuts: list[int], content_type: str = TYPE) -> list[tuple[PartBegins, bytes]]:
    reader = MultipartReader(content_type)
    parts: list[tuple[PartBegins, bytes]] = []
    for start, end in pairwise([0, *sorted(cuts), len(body)]):
        for event in reader.push(body[start:end]):
            if isinstance(event, PartData):
                begins, data = parts.pop()
                parts.append((begins, data + event.data))
            else:
                parts.append((event, b""))
    reader.end()
    return parts


@given(st.lists(st.integers(0, len(BODY)), max_size=40))
def test_parts_are_the_same_however_the_body_is_cut(cuts: list[int]) -> None:
    parts = read(BODY, cuts)

    assert parts == [
        (PartBegins("model", None, ""), b"whisper-1"),
        (PartBegins("file", "grüße.wav", "audio/wav"), SOUND),
        (PartBegins("empty", None, ""), b""),
    ]


@given(st.integers(0, BODY.index(b"--edge--") + 1))
def test_a_body_that_breaks_off_is_an_error(length: int) -> None:
    with pytest.raises(BadRequest, match="ended before"):
        read(BODY[:length], [])


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=10))
def test_rubbish_is_an_error_and_nothing_worse(body: bytes, cuts: list[int]) -> None:
    sent = b"--edge" + body
    # With an end in it, it may be a form.
    assume(b"--edge--" not in sent)

    with pytest.raises(BadRequest):
        read(sent, [min(cut, len(body)) for cut in cuts])


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        f"multipart/form-data; boundary={'x' * 71}",
        "multipart/mixed; boundary=edge",
    ],
)
def test_a_body_of_another_kind_is_refused(content_type: str) -> None:
    with pytest.raises(BadRequest):
        MultipartReader(content_type)


def test_little_is_held_back_of_a_long_part() -> None:
    reader = MultipartReader(TYPE)
    reader.push(b'--edge\r\nContent-Disposition: form-data; name="file"\r\n\r\n')

    given_back = sum(
        len(event.data) for event in reader.push(bytes(100_000)) if isinstance(event, PartData)
    )

    assert 100_000 - len(b"\r\n--edge") <= given_back <= 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"--edge\r\nX: " + b"y" * 20_000,
        b'--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 300 + b"--edge--",
        b"--edge" + b" " * 200,
        b"--edge\r\nContent-Disposition: form-data\r\n\r\nx\r\n--edge--",
    ],
)
def test_forms_without_measure_or_names_are_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(body, [])
