"""Who may take a silent caller's place: the same stream from elsewhere, and no stranger's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from parley.transports.sip.rtp.latch import SILENCE_S, Latch
from parley.transports.sip.rtp.line import PhoneLine
from tests.transports.sip.rtp.far_end import LOOPBACK, FarEnd, Notes, packets, sdp
from tests.transports.webrtc.callers import tone

SDP, NAT, STRANGER = ("192.0.2.1", 4000), ("198.51.100.1", 61_000), ("203.0.113.1", 9)
STREAM, ANOTHER = 7, 8
ELSEWHERE = "127.0.0.2"


@pytest.fixture
def silent() -> Latch:
    """A caller behind a NAT has not been heard for long."""
    latch = Latch()
    latch.name(SDP, 0.0)
    latch.hear(NAT, 1.0, STREAM)
    assert latch.admits(STRANGER, 1.0 + SILENCE_S)
    return latch


@pytest.mark.parametrize(
    ("address", "ssrc", "is_believed"),
    [
        (STRANGER, ANOTHER, False),
        (STRANGER, STREAM, True),
        ((NAT[0], 9), ANOTHER, True),
        (SDP, ANOTHER, True),
        (NAT, ANOTHER, True),
    ],
)
def test_after_a_silence_the_stream_or_the_host_must_be_the_same(
    silent: Latch, address: tuple[str, int], ssrc: int, is_believed: bool
) -> None:
    assert silent.believes(address, ssrc) is is_believed


def test_another_address_in_the_sdp_makes_everybody_new(silent: Latch) -> None:
    silent.name(("192.0.2.2", 4000), 9.0)

    assert silent.believes(STRANGER, ANOTHER)


async def test_a_stranger_neither_speaks_nor_hears_in_a_silent_callers_place(
    make_line: Callable[..., PhoneLine],
    notes: Notes,
    far_end: FarEnd,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Any time at all is a silence.
    monkeypatch.setattr("parley.transports.sip.rtp.latch.SILENCE_S", 0.0)
    line = make_line()
    line.answer(sdp(far_end.port))
    stranger = await FarEnd().open(ELSEWHERE)
    far_end.play(packets(tone(440, 100, 8000), ssrc=STREAM), line.port)
    await notes.until(lambda: len(notes.pieces) >= 5)
    for packet in packets(tone(880, 100, 8000), ssrc=ANOTHER):
        stranger.send(packet.serialize(), line.port, LOOPBACK)
    await notes.until(lambda: line.counters()["strangers"] == 5)
    before = len(far_end.packets)
    await far_end.until(lambda: len(far_end.packets) > before + 2)

    assert stranger.packets == [] and line.counters()["packets"] == 5
    stranger.close()
