"""What kind of file it is, by its first bytes; names and types that clients give are not trusted.

FFmpeg is told the format and guesses nothing: some of the formats that it knows are lists of
other files and addresses to open.
"""

from __future__ import annotations

import re

HEAD_BYTES = 4096

_RAW = re.compile(r"audio/(pcm|raw|l16)\b", re.IGNORECASE)
_RATE = re.compile(r"\brate=(\d{4,6})\b", re.IGNORECASE)
RAW_RATE_HZ = 16_000
_ID3_HEADER_BYTES = 10


def container_of(head: bytes) -> str:
    """FFmpeg's name of the format; "" for one that isn't served."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
        return "mov"
    for magic, container in (
        (b"OggS", "ogg"),
        (b"fLaC", "flac"),
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"\x00\x00\x01\xba", "mpeg"),
        (b"caff", "caf"),
        (b"#!AMR", "amr"),
    ):
        if head.startswith(magic):
            return container
    return _mpeg_audio(head)


def _mpeg_audio(head: bytes) -> str:
    """MPEG audio and ADTS have no magic number, only frames that begin with eleven ones."""
    if head.startswith(b"ID3") and len(head) >= _ID3_HEADER_BYTES:
        size = sum(byte << 7 * at for at, byte in enumerate(reversed(head[6:10])))
        behind = head[_ID3_HEADER_BYTES + size :]
        return container_of(behind) if len(behind) > 1 else "mp3"
    if len(head) < 2 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return ""
    layer, version = head[1] >> 1 & 3, head[1] >> 3 & 3
    if layer == 0:
        return "aac" if head[1] & 0xF0 == 0xF0 else ""
    return "mp3" if version != 1 else ""


def raw_rate_hz(content_type: str) -> int:
    """The rate of samples without a header, which only the client can tell; 0 for other files."""
    if not _RAW.match(content_type.strip()):
        return 0
    rate = _RATE.search(content_type)
    return int(rate[1]) if rate else RAW_RATE_HZ
