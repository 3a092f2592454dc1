"""Offers and answers as text: what aiortc must not see, and what it leaves out.

An offer may hold sections that aiortc can't answer (a video codec it lacks, a section that was
rejected before): they are kept from it and declined in the answer, as RFC 3264 wants. Candidates
are kept from it too and added one by one, because looking up one ``.local`` name there would
hold the answer up for a second. The answer gets what lets browsers send loss-proof Opus.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aiortc import RTCIceCandidate
from aiortc.codecs import CODECS
from aiortc.sdp import candidate_from_sdp

from parley.core.errors import BadOffer

MAX_SDP_BYTES = 64 * 1024
MAX_CANDIDATES = 50

_OPUS = re.compile(r"a=rtpmap:(\d+) opus/48000", re.IGNORECASE)
_UFRAG = re.compile(r"\bufrag (\S+)")
_TRANSPORT_LINES = ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:")
_NOT_FOR_AIORTC = ("a=candidate:", "a=end-of-candidates")
_WANTED_HINT = "Send what RTCPeerConnection.createOffer() gave, with an audio track added."


@dataclass
class Section:
    """One ``m=`` section: its lines, the first of which is the ``m=`` line."""

    lines: list[str]

    @property
    def kind(self) -> str:
        return self.lines[0][2:].split(" ", 1)[0]

    @property
    def mid(self) -> str:
        return self.value("a=mid:") or ""

    def value(self, prefix: str) -> str | None:
        """What follows ``prefix`` in the first line that begins with it."""
        return next((line[len(prefix) :] for line in self.lines if line.startswith(prefix)), None)

    def declined(self) -> Section:
        """This section as an answer that wants nothing of it."""
        kind, _, rest = self.lines[0].split(" ", 2)
        lines = [f"{kind} 0 {rest}", "c=IN IP4 0.0.0.0", "a=inactive"]
        return Section([*lines, f"a=mid:{self.mid}"] if self.mid else lines)


@dataclass(frozen=True)
class Offer:
    """An offer, read. ``text`` is for aiortc; ``order`` has None where a section is ours."""

    text: str
    ufrags: frozenset[str]
    wants_nack: bool
    has_opus: bool
    candidates: tuple[RTCIceCandidate, ...]
    candidates_end: bool
    order: tuple[Section | None, ...] = field(repr=False)


def read_offer(sdp: str) -> Offer:
    """Raises ``BadOffer`` for what isn't an offer with sound in it."""
    if len(sdp.encode()) > MAX_SDP_BYTES:
        raise BadOffer(f"The SDP is longer than {MAX_SDP_BYTES} bytes.", hint=_WANTED_HINT)
    session, sections = _split(sdp)
    if not session or session[0] != "v=0" or not sections:
        raise BadOffer("The SDP makes no sense.", hint=_WANTED_HINT, param="sdp")
    kept = _answerable(sections)
    audio = next((section for section in kept if section.kind == "audio"), None)
    if audio is None:
        raise BadOffer("The offer has no audio that can be answered.", hint=_WANTED_HINT)
    ufrag_lines = [line for line in sdp.splitlines() if line.startswith("a=ice-ufrag:")]
    ours = _complete([Section(list(section.lines)) for section in kept], sdp)
    opus = _opus_payload_types(audio)
    return Offer(
        text=_join(_with_bundle(session, [section.mid for section in kept]), ours),
        ufrags=frozenset(line.partition(":")[2].strip() for line in ufrag_lines),
        wants_nack=any(f"a=rtcp-fb:{pt} nack" in audio.lines for pt in [*opus, "*"]),
        has_opus=bool(opus),
        candidates=tuple(_candidates(session, kept)),
        candidates_end=any("a=end-of-candidates" in section.lines for section in kept),
        order=tuple(None if s in kept else s.declined() for s in sections),
    )


def finish_answer(answer: str, offer: Offer) -> str:
    """aiortc's answer with the declined sections back in place and Opus made loss-proof."""
    session, sections = _split(answer)
    remaining = iter(sections)
    finished = [next(remaining) if section is None else section for section in offer.order]
    for section in finished:
        if section.kind == "audio" and not section.lines[0].startswith("m=audio 0 "):
            section.lines = [line for old in section.lines for line in _opus_lines(old, offer)]
    return _join(session, finished)


def read_candidate(
    text: str, sdp_mid: str | None, sdp_mline_index: int | None
) -> RTCIceCandidate | None:
    """A trickled candidate; None when the text is empty: there will be no more of them."""
    if not text.strip():
        return None
    try:
        candidate = candidate_from_sdp(text.strip().removeprefix("a=").removeprefix("candidate:"))
    except (AssertionError, ValueError) as error:
        raise BadOffer(
            "The ICE candidate makes no sense.", hint="Send event.candidate as the browser gave it."
        ) from error
    candidate.sdpMid = sdp_mid
    candidate.sdpMLineIndex = sdp_mline_index
    return candidate


def ufrag_of(candidate: str) -> str:
    """The user fragment that browsers add to a candidate's text, or ""."""
    found = _UFRAG.search(candidate)
    return found[1] if found else ""


def _split(sdp: str) -> tuple[list[str], list[Section]]:
    session: list[str] = []
    sections: list[Section] = []
    for line in filter(None, map(str.strip, sdp.splitlines())):
        if line.startswith("m="):
            sections.append(Section([line]))
        elif sections:
            sections[-1].lines.append(line)
        else:
            session.append(line)
    return session, sections


def _join(session: list[str], sections: list[Section]) -> str:
    lines = [*session, *(line for section in sections for line in section.lines)]
    return "\r\n".join(lines) + "\r\n"


def _answerable(sections: list[Section]) -> list[Section]:
    kept: list[Section] = []
    for section in sections:
        parts = section.lines[0].split()
        if len(parts) < 4:
            raise BadOffer("The SDP has a broken m= line.", hint=_WANTED_HINT, param="sdp")
        # Port 0 means rejected, except where the section lives on another one's port.
        is_rejected = parts[1] == "0" and "a=bundle-only" not in section.lines
        is_second = any(section.kind == other.kind for other in kept) and section.kind != "video"
        if not is_rejected and not is_second and _has_common_format(section):
            kept.append(section)
    return kept


def _has_common_format(section: Section) -> bool:
    if section.kind == "application":
        return "SCTP" in section.lines[0]
    if section.kind not in CODECS:
        return False
    # H.264 depends on profiles; VP8, which every browser offers beside it, doesn't.
    known = {"vp8"} if section.kind == "video" else {c.name.lower() for c in CODECS["audio"]}
    names = [line.split(" ", 1)[1] for line in section.lines if re.match(r"a=rtpmap:\d+ ", line)]
    return any(name.split("/")[0].lower() in known for name in names)


def _complete(sections: list[Section], sdp: str) -> list[Section]:
    """Give bundled sections the transport lines that only the first one needs (RFC 9143)."""
    first = sections[0]
    for section in sections:
        section.lines = [line for line in section.lines if not line.startswith(_NOT_FOR_AIORTC)]
        if "a=group:BUNDLE" in sdp and section.value("a=ice-ufrag:") is None:
            missing = [line for line in first.lines if line.startswith(_TRANSPORT_LINES)]
            have = {line.partition(":")[0] for line in section.lines}
            section.lines += [line for line in missing if line.partition(":")[0] not in have]
    return sections


def _with_bundle(session: list[str], mids: list[str]) -> list[str]:
    """The bundle without what we decline, in the order of the sections: given any other order
    aiortc 1.16 closes the transport that it is about to use."""
    lines: list[str] = []
    for line in session:
        if line.startswith("a=group:BUNDLE"):
            bundled = line.split()[1:]
            line = " ".join(["a=group:BUNDLE", *(mid for mid in mids if mid in bundled)])
        lines.append(line)
    return lines


def _candidates(session: list[str], sections: list[Section]) -> list[RTCIceCandidate]:
    """Those of the sections that have a transport of their own: the first of a bundle."""
    groups = [line.split()[1:] for line in session if line.startswith("a=group:BUNDLE")]
    bundled = {mid for group in groups for mid in group}
    shared = {section.mid for section in sections if section.mid in bundled}
    shared.discard(next((s.mid for s in sections if s.mid in shared), ""))
    lines = [
        (line, section.mid)
        for section in sections
        if section.mid not in shared
        for line in section.lines
        if line.startswith("a=candidate:")
    ]
    found = [read_candidate(line, mid, None) for line, mid in lines[:MAX_CANDIDATES]]
    return [candidate for candidate in found if candidate is not None]


def _opus_payload_types(section: Section) -> list[str]:
    return [found[1] for line in section.lines if (found := _OPUS.match(line))]


def _opus_lines(line: str, offer: Offer) -> list[str]:
    found = _OPUS.match(line)
    if not found:
        return [line]
    lines = [line, f"a=fmtp:{found[1]} minptime=10;useinbandfec=1"]
    if offer.wants_nack:
        lines.insert(1, f"a=rtcp-fb:{found[1]} nack")
    return lines
