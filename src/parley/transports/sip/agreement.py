"""What a telephone call's two sides bring to their sound, and what they agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from parley.transports.sip.rtp.codecs import CODECS, G722, PCMA, PCMU, Codec
from parley.transports.sip.sdp import DIRECTIONS, Crypto, Direction, Media

EVENT, NOISE = "telephone-event", "cn"
_STATIC = {codec.payload_type: codec for codec in CODECS.values() if codec.payload_type is not None}
_NOISE_TYPE = 13

Secrecy = Literal["off", "allowed", "required"]
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class OurSide:
    """What we bring: where our sound is expected (``host`` as others see it) and what we speak."""

    host: str
    port: int
    codecs: tuple[Codec, ...] = (G722, PCMU, PCMA)
    packet_ms: int = 20
    secrecy: Secrecy = "off"


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What was agreed on. ``event_type`` is None where keys can't be sent.

    Sound is sent with ``payload_type`` and comes with it or ``heard_type``. ``remote`` is None
    where the far side is known by a name only: its packets tell where it is.
    """

    codec: Codec
    payload_type: int
    heard_type: int
    packet_ms: int = 20
    event_type: int | None = None
    noise_type: int | None = None
    remote: Address | None = None
    remote_rtcp: Address | None = None
    may_send: bool = True
    may_hear: bool = True
    is_held: bool = False
    """The far side has put the call on hold."""
    shares_port: bool = False
    """Sound and reports travel between one pair of ports."""
    key_out: Crypto | None = None
    key_in: Crypto | None = None


def codecs_in(section: Media) -> dict[int, Codec]:
    """The formats that we know, in the far side's order."""
    maps = section.rtpmaps
    found: dict[int, Codec] = {}
    for text in section.formats:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else -1
        name, _, rest = maps.get(number, "").partition("/")
        codec = CODECS.get(name) if name else _STATIC.get(number)
        clock = rest.partition("/")[0]
        # G.722's clock was once a misprint; some still "correct" it.
        if codec is not None and (not name or clock in (str(codec.clock_hz), "16000")):
            found[number] = codec
    return found


def side_types(section: Media, codec: Codec) -> tuple[int | None, int | None]:
    """The payload types of keys and of comfort noise that go with a codec."""
    clock = str(codec.clock_hz)
    listed = [number for number in section.rtpmaps if str(number) in section.formats]
    named = {section.rtpmaps[number]: number for number in reversed(listed)}
    event = named.get(f"{EVENT}/{clock}", named.get(f"{EVENT}/8000"))
    noise = named.get(f"{NOISE}/{clock}")
    if noise is None and str(_NOISE_TYPE) in section.formats and codec.clock_hz == 8000:
        noise = _NOISE_TYPE
    return event, noise


def event_lines(payload_type: int, clock: str) -> list[str]:
    return [f"a=rtpmap:{payload_type} {EVENT}/{clock}", f"a=fmtp:{payload_type} 0-15"]


def packet_ms_for(section: Media, codec: Codec, usual: int) -> int:
    wanted = section.number("ptime", 10_000) or usual
    most = section.number("maxptime", 10_000) or wanted
    allowed = [ms for ms in codec.frames_ms if ms <= min(wanted, most)]
    return max(allowed, default=codec.frames_ms[0])


def ways_of(direction: Direction) -> tuple[bool, bool]:
    return direction in ("sendrecv", "sendonly"), direction in ("sendrecv", "recvonly")


def direction_of(sends: bool, hears: bool) -> Direction:
    return DIRECTIONS[(0 if hears else 1) if sends else (2 if hears else 3)]
