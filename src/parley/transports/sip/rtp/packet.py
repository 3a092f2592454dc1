"""An RTP packet as it came: what its header says (RFC 3550, 5.1), and what it carries."""

from __future__ import annotations

import struct
from dataclasses import dataclass

# What every header begins with; sources and an extension may follow.
_HEADER = struct.Struct("!BBHLL")
_EXTENSION = struct.Struct("!2xH")
_VERSION = 2
_REPORTS = range(192, 209)


@dataclass(slots=True)
class RtpPacket:
    payload_type: int
    marker: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


def is_report(data: bytes) -> bool:
    """Whether it is RTCP, where both come through one port (RFC 5761)."""
    return len(data) > 1 and data[1] in _REPORTS


def read_packet(data: bytes) -> RtpPacket:
    """Raises ``ValueError`` for what is no RTP."""
    size = len(data)
    if size < _HEADER.size:
        raise ValueError("the packet is shorter than a header")
    first, kind, sequence_number, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != _VERSION:
        raise ValueError(f"version {first >> 6} is unknown")
    start, end = _HEADER.size, size
    if first & 0x3F:
        start, end = _bounds(data, first)
    return RtpPacket(kind & 0x7F, kind >> 7, sequence_number, timestamp, ssrc, data[start:end])


def _bounds(data: bytes, first: int) -> tuple[int, int]:
    """Where the payload lies between sources, extension and padding."""
    start, end = _HEADER.size + (first & 0x0F) * 4, len(data)
    if first & 0x10:
        if start + _EXTENSION.size > end:
            raise ValueError("the extension is cut short")
        start += _EXTENSION.size + _EXTENSION.unpack_from(data, start)[0] * 4
    if first & 0x20:
        padding = data[-1]
        if not padding:
            raise ValueError("the padding has no length")
        end -= padding
    if start > end:
        raise ValueError("the packet is cut short")
    return start, end
