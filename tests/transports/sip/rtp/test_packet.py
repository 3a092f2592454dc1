"""RTP headers are read whole, and what is no RTP is refused."""

from __future__ import annotations

from typing import Any

import pytest
from aiortc import rtp as aiortc_rtp
from hypothesis import given
from hypothesis import strategies as st

from parley.transports.sip.rtp.packet import is_report, read_packet

PLAIN = bytes.fromhex("80000001000000a000000007")


def as_aiortc_reads(data: bytes) -> tuple[Any, ...] | None:
    try:
        packet = aiortc_rtp.RtpPacket.parse(data)
    except (ValueError, LookupError, ArithmeticError):
        return None
    return (
        packet.payload_type,
        packet.marker,
        packet.sequence_number,
        packet.timestamp,
        packet.ssrc,
        packet.payload,
    )


def as_we_read(data: bytes) -> tuple[Any, ...] | None:
    try:
        packet = read_packet(data)
    except ValueError:
        return None
    return (
        packet.payload_type,
        packet.marker,
        packet.sequence_number,
        packet.timestamp,
        packet.ssrc,
        packet.payload,
    )


@given(st.binary(max_size=80), st.integers(0, 255))
def test_anything_is_read_as_another_library_reads_it(data: bytes, first: int):
    data = bytes([first]) + data

    assert as_we_read(data) == as_aiortc_reads(data)


@given(st.binary(max_size=40), st.integers(0, 3), st.integers(0, 3), st.integers(0, 9))
def test_sources_extension_and_padding_are_no_sound(
    payload: bytes, sources: int, words: int, padding: int
):
    first = 0x80 | 0x10 | (0x20 if padding else 0) | sources
    extension = b"\xbe\xde" + words.to_bytes(2, "big") + b"\x01" * words * 4
    tail = bytes(padding - 1) + bytes([padding]) if padding else b""
    data = bytes([first]) + PLAIN[1:] + b"\x02" * sources * 4 + extension + payload + tail

    assert read_packet(data).payload == payload


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PLAIN[:11],
        b"\x40" + PLAIN[1:],
        b"\x81" + PLAIN[1:],
        b"\x90" + PLAIN[1:] + b"\xbe\xde",
        b"\x90" + PLAIN[1:] + b"\xbe\xde\x00\x02abcd",
        b"\xa0" + PLAIN[1:] + b"ab\x00",
        b"\xa0" + PLAIN[1:] + b"ab\x04",
    ],
)
def test_a_header_that_promises_more_than_there_is_is_refused(data: bytes):
    with pytest.raises(ValueError, match=r"the|version"):
        read_packet(data)


def test_reports_are_told_from_sound_by_their_type():
    assert is_report(b"\x80\xc8")
    assert not is_report(PLAIN)
    assert not is_report(b"\x80")
