"""Offers as browsers make them, and every change that leaves them valid.

Those in ``offers/`` were recorded from Chromium 156 and Firefox 153.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

OFFERS = {path.stem: path.read_bytes().decode() for path in Path(__file__).parent.glob("offers/*")}
MIRROR = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly"}
SUPPORTED = ("opus", "g722", "pcmu", "pcma")
CANDIDATES = [
    "1 1 udp 2122260223 127.0.0.1 50000 typ host generation 0 network-id 1",
    "2 1 UDP 2122252543 ::1 50001 typ host",
    "3 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active generation 0",
    "4 1 udp 1686052607 203.0.113.7 50002 typ srflx raddr 0.0.0.0 rport 0 generation 0",
    "5 1 udp 41885439 203.0.113.8 50003 typ relay raddr 203.0.113.7 rport 50002",
    "6 1 udp 2113937151 38503904-fff4-44a3-9391-0bb20a4839fe.local 33066 typ host",
]
ICE_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"


@dataclass
class Section:
    lines: list[str]

    @property
    def kind(self) -> str:
        return self.lines[0][2:].split()[0]

    @property
    def mid(self) -> str:
        return self.value("a=mid:")

    @property
    def is_rejected(self) -> bool:
        return self.lines[0].split()[1] == "0" and "a=bundle-only" not in self.lines

    def value(self, prefix: str) -> str:
        return next((x[len(prefix) :] for x in self.lines if x.startswith(prefix)), "")

    def codecs(self) -> dict[str, str]:
        """Payload type to lower-case name, in the order of the m= line."""
        maps = [re.match(r"a=rtpmap:(\d+) ([^/]+)/", line) for line in self.lines]
        names = {found[1]: found[2].lower() for found in maps if found}
        return {pt: names[pt] for pt in self.lines[0].split()[3:] if pt in names}


def parse(sdp: str) -> tuple[list[str], list[Section]]:
    session: list[str] = []
    sections: list[Section] = []
    for line in sdp.split("\r\n")[:-1]:
        if line.startswith("m="):
            sections.append(Section([line]))
        else:
            (sections[-1].lines if sections else session).append(line)
    return session, sections


def joined(session: list[str], sections: list[Section], end: str = "\r\n") -> str:
    return "".join(x + end for x in [*session, *(x for s in sections for x in s.lines)])


@st.composite
def valid_offers(draw: Any) -> str:
    """A recorded offer, changed in ways that leave it valid."""
    session, sections = parse(OFFERS[draw(st.sampled_from(sorted(OFFERS)))])
    audio = next(section for section in sections if section.kind == "audio")
    _choose_codecs(draw, audio)
    _rename_mids(draw, session, sections)
    _rename_ice(draw, sections)
    _change_candidates(draw, audio)
    direction = draw(st.sampled_from(sorted(MIRROR)))
    audio.lines = [f"a={direction}" if x[2:] in MIRROR else x for x in audio.lines]
    if draw(st.booleans()):
        audio.lines = [x for x in audio.lines if not x.startswith(("a=ssrc", "a=extmap", "a=msid"))]
    for section in sections:
        setup = draw(st.sampled_from(["actpass", "actpass", "active", "passive"]))
        section.lines = [
            f"a=setup:{setup}" if x.startswith("a=setup") and section is sections[0] else x
            for x in section.lines
        ]
    return joined(session, sections, draw(st.sampled_from(["\r\n", "\n"])))


def _choose_codecs(draw: Any, audio: Section) -> None:
    codecs = audio.codecs()
    supported = [pt for pt, name in codecs.items() if name in SUPPORTED]
    kept = draw(st.lists(st.sampled_from(supported), min_size=1, unique=True))
    kept += [pt for pt in codecs if pt not in supported and draw(st.booleans())]
    kept = draw(st.permutations(kept))
    audio.lines[0] = " ".join([*audio.lines[0].split()[:3], *kept])
    gone = [pt for pt in codecs if pt not in kept]
    audio.lines = [
        x for x in audio.lines if not re.match(rf"a=\w[\w-]*:({'|'.join(gone) or '$'}) ", x)
    ]
    opus = next((pt for pt in kept if codecs[pt] == "opus"), None)
    if opus and draw(st.booleans()):
        audio.lines.append(f"a=rtcp-fb:{opus} nack")


def _rename_mids(draw: Any, session: list[str], sections: list[Section]) -> None:
    names = draw(
        st.lists(
            st.text("abcdefgh0123456789", min_size=1, max_size=8),
            min_size=len(sections),
            max_size=len(sections),
            unique=True,
        )
    )
    new = {section.mid: name for section, name in zip(sections, names, strict=True)}
    for section in sections:
        section.lines = [
            f"a=mid:{new[section.mid]}" if x.startswith("a=mid:") else x for x in section.lines
        ]
    for n, line in enumerate(session):
        if line.startswith("a=group:BUNDLE"):
            session[n] = " ".join(["a=group:BUNDLE", *(new[mid] for mid in line.split()[1:])])


def _rename_ice(draw: Any, sections: list[Section]) -> None:
    ufrag = draw(st.text(ICE_CHARACTERS, min_size=4, max_size=40))
    password = draw(st.text(ICE_CHARACTERS, min_size=22, max_size=60))
    for section in sections:
        section.lines = [
            re.sub("^a=ice-ufrag:.*", f"a=ice-ufrag:{ufrag}", x) for x in section.lines
        ]
        section.lines = [re.sub("^a=ice-pwd:.*", f"a=ice-pwd:{password}", x) for x in section.lines]


def _change_candidates(draw: Any, audio: Section) -> None:
    audio.lines = [x for x in audio.lines if not x.startswith(("a=candidate", "a=end-of-cand"))]
    chosen = draw(st.lists(st.sampled_from(CANDIDATES), unique=True))
    audio.lines += [f"a=candidate:{candidate}" for candidate in chosen]
    if chosen and draw(st.booleans()):
        audio.lines.append("a=end-of-candidates")


class NoMdns:
    async def resolve(self, _name: str) -> None:
        return None


async def no_mdns(_: Any) -> NoMdns:
    return NoMdns()
