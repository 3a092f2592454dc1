"""Small files that last for hours."""

from __future__ import annotations

import struct

_POLYNOMIAL = 0x04C11DB7
# 60 ms of SILK at 8 kHz, and nothing in it: the decoder makes comfort noise.
_SILENT_PACKET = b"\x18"
_PACKETS_A_PAGE = 255
_PACKET_SAMPLES = 2880


def _table() -> list[int]:
    table: list[int] = []
    for first in range(256):
        value = first << 24
        for _ in range(8):
            value = (value << 1) ^ (_POLYNOMIAL if value & 0x8000_0000 else 0)
        table.append(value & 0xFFFF_FFFF)
    return table


_TABLE = _table()


def _checksum(data: bytes) -> int:
    value = 0
    for byte in data:
        value = (value << 8) & 0xFFFF_FFFF ^ _TABLE[value >> 24 ^ byte]
    return value


def _page(number: int, packets: list[bytes], position: int, flags: int = 0) -> bytes:
    head = struct.pack("<4sBBqIII", b"OggS", 0, flags, position, 1, number, 0)
    page = head + bytes([len(packets), *map(len, packets)]) + b"".join(packets)
    return page[:22] + struct.pack("<I", _checksum(page)) + page[26:]


def opus_of_silence(hours: float) -> bytes:
    """About 130 kB an hour."""
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 0, 48_000, 0, 0)
    tags = struct.pack("<8sI4sI", b"OpusTags", 4, b"bomb", 0)
    pages = [_page(0, [head], 0, flags=2), _page(1, [tags], 0)]
    samples = 0
    while samples < hours * 3600 * 48_000:
        samples += _PACKETS_A_PAGE * _PACKET_SAMPLES
        pages.append(_page(len(pages), [_SILENT_PACKET] * _PACKETS_A_PAGE, samples))
    return b"".join(pages)


def without_length(flac: bytes) -> bytes:
    """A FLAC file that doesn't say how many samples it has, as a stream doesn't."""
    at = len(b"fLaC") + 4 + 13
    changed = bytearray(flac)
    changed[at] &= 0xF0
    changed[at + 1 : at + 5] = bytes(4)
    return bytes(changed)
