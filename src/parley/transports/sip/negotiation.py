"""Offer and answer (RFC 3264): what both sides of a telephone call agree on."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass, replace

from parley.core.errors import BadOffer, IncompatibleAddress, IncompatibleOffer
from parley.transports.sip.agreement import (
    Address,
    Negotiated,
    OurSide,
    codecs_in,
    direction_of,
    event_lines,
    packet_ms_for,
    side_types,
    ways_of,
)
from parley.transports.sip.rtp.codecs import Codec
from parley.transports.sip.sdp import (
    Crypto,
    Direction,
    Media,
    address_type,
    read_description,
    write_lines,
)

SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
_OWN_OPUS_TYPE, _OWN_EVENT_TYPE, _OWN_OPUS_EVENT_TYPE = 96, 101, 102
_PLAIN, _SECURED = ("RTP/AVP", "RTP/AVPF"), ("RTP/SAVP", "RTP/SAVPF")


@dataclass(frozen=True, slots=True)
class _Choice:
    """A medium that can be used, and what of it."""

    index: int
    codec: Codec
    payload_type: int
    event_type: int | None
    noise_type: int | None
    key_in: Crypto | None


class Negotiation:
    """One call's offers and answers, from the first to the last.

    ``agreed`` is None until an answer was given or got. ``wish`` is what we would do with the sound
    if the far side did the same: ``sendonly`` while we have it on hold.
    """

    def __init__(self, ours: OurSide) -> None:
        self.ours = ours
        self.agreed: Negotiated | None = None
        self.wish: Direction = "sendrecv"
        self._offered_wish: Direction = "sendrecv"
        self._id = secrets.randbits(31)
        self._version = self._id
        self._media: tuple[Media, ...] = ()
        self._index = 0
        self._key: Crypto | None = None
        self._offered: dict[int, Codec] = {}

    # ── answering ────────────────────────────────────────────────────────────────────────

    def answer(self, offer: str) -> str:
        """Our answer. Raises ``BadOffer``, or ``IncompatibleOffer`` (488); nothing changes then."""
        media = read_description(offer).media
        choice = self._choose(media)
        theirs = media[choice.index]
        own_key = self._own_key(choice.key_in)
        agreed = self._agree(theirs, choice, self.wish, own_key, choice.payload_type)
        self.agreed, self._media, self._index = agreed, media, choice.index
        self._key = own_key
        mapped = theirs.rtpmaps
        formats = [choice.payload_type, choice.event_type, choice.noise_type]
        lines = [f"a=rtpmap:{agreed.payload_type} {agreed.codec.rtpmap}"]
        if agreed.event_type is not None:
            clock = mapped[agreed.event_type].partition("/")[2] or "8000"
            lines += event_lines(agreed.event_type, clock)
        lines += [f"a=ptime:{agreed.packet_ms}"]
        if theirs.has("rtcp-mux"):
            lines.append("a=rtcp-mux")
        lines.append(f"a={direction_of(agreed.may_send, agreed.may_hear)}")
        present = [number for number in formats if number is not None]
        return self._write(self._section(theirs.protocol, present, lines))

    def _choose(self, media: tuple[Media, ...]) -> _Choice:
        complaint = "The SDP has no audio that is switched on."
        for index, section in enumerate(media):
            if section.kind != "audio" or not section.port:
                continue
            key = self._key_of(section)
            if section.protocol not in _PLAIN and key is None:
                complaint = f"{section.protocol} can't be done here."
                continue
            if self.ours.secrecy == "required" and key is None:
                complaint = "Only encrypted sound (RTP/SAVP with a=crypto) is taken here."
                continue
            found = self._codec_of(section)
            if found is None:
                complaint = "None of the offered codecs is spoken here."
                continue
            payload_type, codec = found
            event, noise = side_types(section, codec)
            return _Choice(index, codec, payload_type, event, noise, key)
        spoken = ", ".join(codec.rtpmap for codec in self.ours.codecs)
        raise IncompatibleOffer(complaint, hint=f"We speak {spoken}.")

    def _key_of(self, section: Media) -> Crypto | None:
        if section.protocol not in _SECURED or self.ours.secrecy == "off":
            return None
        return next((c for c in section.crypto if c.suite in SUITES), None)

    def _codec_of(self, section: Media) -> tuple[int, Codec] | None:
        """Wide sound is understood better; among equals the far side's order counts."""
        spoken = [
            (number, codec)
            for number, codec in codecs_in(section).items()
            if codec in self.ours.codecs
        ]
        wide = [found for found in spoken if found[1].is_wideband]
        return next(iter(wide + spoken), None)

    # ── offering ─────────────────────────────────────────────────────────────────────────

    def offer(self, wish: Direction | None = None) -> str:
        """Our offer: all that we speak, or what was agreed on already. A new ``wish`` holds from
        the moment that it is accepted."""
        self._offered_wish = wish or self.wish
        key = None
        if self.agreed is None:
            lines, formats = self._everything()
            if self.ours.secrecy == "required":
                key = Crypto(1, SUITES[0], secrets.token_bytes(30))
        else:
            lines, formats = self._as_agreed(self.agreed)
            key = self._key
        self._key = key
        protocol = _SECURED[0] if key is not None else _PLAIN[0]
        lines += [f"a=ptime:{self.ours.packet_ms}", f"a={self._offered_wish}"]
        return self._write(self._section(protocol, formats, lines))

    def offer_openly(self) -> str:
        """Our first offer again for a far side that took none that was encrypted."""
        self.ours = replace(self.ours, secrecy="off")
        return self.offer()

    def _everything(self) -> tuple[list[str], list[int]]:
        lines: list[str] = []
        self._offered = {}
        for codec in self.ours.codecs:
            number = _OWN_OPUS_TYPE if codec.payload_type is None else codec.payload_type
            self._offered[number] = codec
            lines.append(f"a=rtpmap:{number} {codec.rtpmap}")
        formats = [*self._offered, _OWN_EVENT_TYPE]
        lines += event_lines(_OWN_EVENT_TYPE, "8000")
        if _OWN_OPUS_TYPE in self._offered:
            formats.append(_OWN_OPUS_EVENT_TYPE)
            lines += event_lines(_OWN_OPUS_EVENT_TYPE, "48000")
        return lines, formats

    def _as_agreed(self, agreed: Negotiated) -> tuple[list[str], list[int]]:
        self._offered = {agreed.heard_type: agreed.codec}
        lines = [f"a=rtpmap:{agreed.heard_type} {agreed.codec.rtpmap}"]
        formats = [agreed.heard_type]
        if agreed.event_type is not None:
            formats.append(agreed.event_type)
            lines += event_lines(agreed.event_type, str(agreed.codec.clock_hz))
        if agreed.shares_port:
            lines.append("a=rtcp-mux")
        return lines, formats

    def accept(self, answer: str) -> Negotiated:
        """Take the answer to our offer. Raises ``BadOffer``; nothing changes then."""
        media, index, key_in = self._audio_in(answer)
        theirs = media[index]
        for number, codec in codecs_in(theirs).items():
            heard = next((n for n, c in self._offered.items() if c is codec), None)
            if heard is not None:
                event, noise = side_types(theirs, codec)
                choice = _Choice(index, codec, number, event, noise, key_in)
                wish = self._offered_wish
                self.agreed = self._agree(theirs, choice, wish, self._key, heard)
                self._media, self._index, self.wish = media, index, wish
                return self.agreed
        raise IncompatibleOffer("The far side answered with no codec that was offered.")

    def refuses_secrecy(self, answer: str) -> bool:
        """Whether our offer was encrypted and the answer to it isn't; nothing changes."""
        try:
            self._audio_in(answer)
        except IncompatibleOffer:
            return self._key is not None
        except BadOffer:
            return False
        return False

    def _audio_in(self, answer: str) -> tuple[tuple[Media, ...], int, Crypto | None]:
        """The media of an answer, which of them is ours, and with which key."""
        media = read_description(answer).media
        index = self._index if self._index < len(media) else 0
        theirs = media[index]
        if theirs.kind != "audio" or not theirs.port:
            sound = "encrypted audio" if self._key is not None else "audio"
            raise IncompatibleOffer(f"The far side takes no {sound}.")
        key_in = next((c for c in theirs.crypto if self._fits(c)), None)
        if (key_in is None) != (self._key is None):
            raise IncompatibleOffer("The answer is not as secret as the offer.")
        return media, index, key_in

    def _fits(self, theirs: Crypto) -> bool:
        own = self._key
        return own is not None and (theirs.tag, theirs.suite) == (own.tag, own.suite)

    # ── both ─────────────────────────────────────────────────────────────────────────────

    def _own_key(self, theirs: Crypto | None) -> Crypto | None:
        """Ours stays the same through the call: a new one would begin its count afresh."""
        own = self._key
        if theirs is None:
            return None
        if own is None or own.suite != theirs.suite:
            return Crypto(theirs.tag, theirs.suite, secrets.token_bytes(30))
        return Crypto(theirs.tag, own.suite, own.master)

    def _agree(
        self, theirs: Media, choice: _Choice, wish: Direction, own: Crypto | None, heard: int
    ) -> Negotiated:
        was_zeroed = theirs.host in ("0.0.0.0", "::")
        they_send, they_hear = ways_of(theirs.direction)
        we_send, we_hear = ways_of(wish)
        return Negotiated(
            codec=choice.codec,
            payload_type=choice.payload_type,
            heard_type=heard,
            packet_ms=packet_ms_for(theirs, choice.codec, self.ours.packet_ms),
            event_type=choice.event_type,
            noise_type=choice.noise_type,
            remote=None if was_zeroed else self._reachable(theirs.host, theirs.port),
            remote_rtcp=None if was_zeroed else self._reachable(*theirs.rtcp),
            may_send=we_send and they_hear and not was_zeroed,
            may_hear=we_hear and they_send,
            is_held=was_zeroed or not they_hear,
            shares_port=theirs.has("rtcp-mux"),
            key_out=own,
            key_in=choice.key_in,
        )

    def _reachable(self, host: str, port: int) -> Address | None:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return None
        if address.is_unspecified:
            return None
        if address.is_multicast or str(address) == "255.255.255.255":
            raise BadOffer(f"Sound for one caller isn't sent to {address}.")
        if address.version != (6 if ":" in self.ours.host else 4):
            raise IncompatibleAddress(f"{address} can't be reached from {self.ours.host}.")
        return str(address), port

    def _section(self, protocol: str, formats: list[int], lines: list[str]) -> list[str]:
        written = f"m=audio {self.ours.port} {protocol} {' '.join(map(str, formats))}"
        crypto = [] if self._key is None else [f"a=crypto:{self._key}"]
        return [written, *crypto, *lines]

    def _write(self, audio: list[str]) -> str:
        self._version += 1
        place = f"IN {address_type(self.ours.host)} {self.ours.host}"
        lines = [
            "v=0",
            f"o=parley {self._id} {self._version} {place}",
            "s=-",
            f"c={place}",
            "t=0 0",
        ]
        for index, media in enumerate(self._media):
            if index == self._index:
                lines += audio
            else:
                formats = " ".join(media.formats[:1])
                lines.append(f"m={media.kind} 0 {media.protocol} {formats}")
        return write_lines(lines if self._media else lines + audio)
