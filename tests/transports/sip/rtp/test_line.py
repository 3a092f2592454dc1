"""A whole line against a phone on loopback."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import struct

import numpy as np
import pytest
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley.core.errors import BadOffer, CallLimitReached, CallNotLive, NotSupported
from parley.core.g711 import from_ulaw
from parley.transports.sip.rtp.codecs import G722, OPUS, PCMU
from parley.transports.sip.rtp.line import LineOptions, PhoneLine
from parley.transports.sip.rtp.ports import PortRange
from parley.transports.sip.rtp.secrecy import Opener, Seal
from parley.transports.sip.sdp import Crypto, read_description
from parley.transports.wheel import Wheel
from tests.transports.sip.rtp.far_end import EVENTS, LOOPBACK, FarEnd, Notes, packets, sdp
from tests.transports.webrtc.callers import share_at, tone


@pytest.fixture
async def line(make_line, far_end):
    line = make_line()
    line.answer(sdp(far_end.port, formats="0 96", lines=EVENTS))
    return line


async def test_a_caller_is_heard_and_hears(line, notes, far_end):
    line.playout.start_utterance()
    line.playout.put(tone(700, 400, 24_000))
    line.playout.end_utterance()

    far_end.play(packets(tone(440, 1000, 8000)), line.port)
    await notes.until(lambda: len(notes.pieces) >= 50)
    await far_end.until(lambda: len(far_end.packets) >= 20)

    heard = b"".join(from_ulaw(p.payload) for p in far_end.packets[:20])
    assert notes.media == 1
    assert share_at(notes.sound[3200:32_000], 440, 16_000) > 0.98
    assert share_at(heard, 700, 8000) > 0.9
    assert line.playout.played_ms == 400


async def test_numbers_and_stamps_hold_on_the_wire(line, far_end, wheel):
    await far_end.until(lambda: len(far_end.packets) >= 40)

    sent = far_end.packets
    steps = {(b.sequence_number - a.sequence_number) & 0xFFFF for a, b in itertools.pairwise(sent)}
    stamps = {(b.timestamp - a.timestamp) & 0xFFFF_FFFF for a, b in itertools.pairwise(sent)}
    assert steps == {1}
    assert stamps == {160} or wheel.skipped_slots


@pytest.mark.parametrize("codec", [G722, OPUS])
async def test_two_lines_speak_wide_sound_with_each_other(make_line, libopus, notes, codec):
    one = make_line(libopus, listener=Notes(), codecs=(codec, PCMU))
    other = make_line(libopus, codecs=(codec, PCMU), voice_hz=16_000)

    one.accept(other.answer(one.offer()))
    one.playout.start_utterance()
    one.playout.put(tone(3000, 1500, 24_000))
    one.playout.end_utterance()
    await notes.until(lambda: one.playout.played_ms == 1500 and len(notes.pieces) > 80)

    assert one.agreed is not None and one.agreed.codec is codec
    pieces = np.frombuffer(notes.sound, np.int16)
    loud = pieces[np.abs(pieces) > 500]
    assert len(loud) > 16_000
    assert share_at(notes.sound, 3000, 16_000) > 0.9


async def test_headers_of_all_kinds_are_read(line, notes, far_end):
    payload = packets(tone(440, 20, 8000))[0].payload
    extra = struct.pack("!BBHLL", 0x80 | 0x30 | 0x02, 0x80, 1, 0, 9)
    extra += struct.pack("!LL", 1, 2) + struct.pack("!HHL", 0xABCD, 1, 7)

    far_end.send(extra + payload + b"\0\0\0\x04", line.port)
    await notes.until(lambda: len(notes.pieces) >= 1)

    assert line.counters()["malformed"] == 0
    assert line.counters()["packets"] == 1


async def test_a_stranger_is_neither_heard_nor_answered(line, notes, far_end):
    stranger = await FarEnd().open()
    far_end.play(packets(tone(440, 100, 8000)), line.port)
    await notes.until(lambda: len(notes.pieces) >= 5)

    stranger.play(packets(tone(880, 400, 8000), ssrc=1), line.port)
    far_end.play(packets(tone(440, 100, 8000), first=5, timestamp=800), line.port)
    await notes.until(lambda: line.counters()["strangers"] == 20)
    await far_end.until(lambda: len(far_end.packets) >= 10)

    assert stranger.packets == []
    assert line.counters()["packets"] == 10
    stranger.close()


async def test_replies_follow_a_caller_behind_a_nat(make_line, notes, far_end):
    line = make_line()
    line.answer(sdp(9, host="192.0.2.77"))

    far_end.play(packets(tone(440, 100, 8000)), line.port)
    await far_end.until(lambda: len(far_end.packets) >= 3)

    assert line.counters()["strangers"] == 0


async def test_ipv6_is_a_way_as_well(make_line, notes):
    try:
        far_end = await FarEnd().open("::1")
        ports = PortRange("::1", 20_000, 29_999)
        line = make_line(ports=ports)
    except (OSError, CallLimitReached):
        pytest.skip("this machine has no IPv6")
    answer = line.answer(sdp(far_end.port, host="::1"))

    far_end.send(packets(tone(440, 20, 8000))[0].serialize(), line.port, "::1")
    await notes.until(lambda: notes.media == 1)
    await far_end.until(lambda: len(far_end.packets) >= 2)

    assert "c=IN IP6 ::1" in answer
    far_end.close()


async def test_keys_are_heard_and_pressed(line, notes, far_end):
    key = [
        RtpPacket(96, 0, n, 0, 5, struct.pack("!BBH", 11, 0x8A if n > 2 else 0x0A, 160 * n))
        for n in range(6)
    ]
    far_end.play(key, line.port)

    await line.send_digits("1#")
    await notes.until(lambda: bool(notes.digits))
    await far_end.until(
        lambda: [p.payload[0] for p in far_end.packets if p.payload_type == 96].count(11) >= 7
    )

    pressed = [p.payload[0] for p in far_end.packets if p.payload_type == 96]
    assert notes.digits == ["#"]
    assert pressed == [1] * 7 + [11] * 7


async def test_keys_need_a_far_side_that_takes_them(make_line):
    line = make_line()
    line.answer(sdp())

    with pytest.raises(NotSupported):
        await line.send_digits("1")


async def test_an_interruption_leaves_nothing_on_its_way(line, notes, far_end):
    line.playout.start_utterance()
    speaking = asyncio.create_task(line.playout.write(tone(700, 5000, 24_000)))
    await far_end.until(lambda: len(far_end.packets) >= 15)

    played_ms = line.playout.clear()
    await speaking
    loud_before = sum(p.payload != b"\xff" * 160 for p in far_end.packets)
    before = len(far_end.packets)
    await far_end.until(lambda: len(far_end.packets) >= before + 5)

    loud = sum(p.payload != b"\xff" * 160 for p in far_end.packets)
    assert loud * 20 == played_ms
    assert loud - loud_before <= 1


async def test_hold_and_resume_by_the_far_side(line, notes, far_end):
    answer = line.answer(sdp(far_end.port, lines=["a=sendonly"]))
    assert "a=recvonly" in answer and line.is_held
    line.playout.start_utterance()
    line.playout.put(tone(700, 60, 24_000))
    kept_ms = line.playout.held_ms

    line.answer(sdp(far_end.port))
    await far_end.until(lambda: any(p.payload != b"\xff" * 160 for p in far_end.packets))

    assert notes.holds == [True, False]
    assert kept_ms > 50


async def test_hold_by_us_is_a_wish_until_it_is_accepted(line, far_end):
    offer = line.hold()
    before = line.agreed
    line.accept(sdp(far_end.port, formats="0 96", lines=[*EVENTS, "a=recvonly"]))
    held = line.agreed
    line.resume()
    line.accept(sdp(far_end.port, formats="0 96", lines=EVENTS))

    assert "a=sendonly" in offer and before.may_hear
    assert held.may_send and not held.may_hear and not line.is_held
    assert line.agreed.may_hear


async def test_a_refused_change_leaves_the_call_as_it_was(line, far_end):
    with pytest.raises(BadOffer):
        line.answer(sdp(far_end.port, formats="18"))
    before = len(far_end.packets)

    await far_end.until(lambda: len(far_end.packets) >= before + 3)

    assert line.agreed.codec is PCMU


async def test_a_far_side_that_dies_is_told_once_and_on_hold_not_at_all(make_line, notes, far_end):
    line = make_line(silence_limit_s=0.2)
    line.answer(sdp(far_end.port, lines=["a=sendonly"]))
    await far_end_turns(line, 20)
    held = notes.silences

    line.answer(sdp(far_end.port))
    await notes.until(lambda: notes.silences > 0)
    await far_end.until(lambda: len(far_end.packets) >= 25)

    assert held == 0
    assert notes.silences == 1
    assert line.silent_for_s >= 0.2


async def far_end_turns(line, turns: int) -> None:
    """Let the wheel turn; on hold nothing else shows it."""
    done = asyncio.get_running_loop().create_future()

    class Counter:
        left = turns

        def turn(self, slot: int) -> None:
            self.left -= 1
            if not self.left and not done.done():
                done.set_result(None)

    counter = Counter()
    line._wheel.join(counter, 20)
    await done
    line._wheel.leave(counter)


# ── secrecy ──────────────────────────────────────────────────────────────────────────────


async def test_secured_sound_is_heard_and_open_sound_is_not(make_line, notes, far_end):
    line = make_line(secrecy="allowed")
    theirs = Crypto(1, "AES_CM_128_HMAC_SHA1_80", secrets.token_bytes(30))
    offer = sdp(far_end.port, profile="RTP/SAVP", lines=[f"a=crypto:{theirs}"])
    ours = read_description(line.answer(offer)).media[0].crypto[0]
    seal, opener = Seal(theirs), Opener(ours)

    sounds = packets(tone(440, 200, 8000))
    far_end.play(sounds[:2], line.port)
    for packet in sounds[2:]:
        far_end.send(seal.close_rtp(packet.serialize()), line.port)
    await notes.until(lambda: len(notes.pieces) >= 8)
    await far_end.until(lambda: len(far_end.raw) >= 3)

    assert line.counters()["not_genuine"] == 2
    opened = RtpPacket.parse(opener.open_rtp(far_end.raw[0]))
    assert opened.payload == b"\xff" * 160


async def test_two_lines_can_insist_on_secrecy(make_line, notes):
    one, other = make_line(secrecy="required"), make_line(secrecy="required")

    one.accept(other.answer(one.offer()))
    await notes.until(lambda: notes.media == 2)

    assert one.counters()["not_genuine"] == other.counters()["not_genuine"] == 0


# ── reports ──────────────────────────────────────────────────────────────────────────────


async def test_reports_go_both_ways_and_a_goodbye_ends_them(make_line, notes, far_end):
    reports = await FarEnd().open()
    line = make_line()
    line.answer(sdp(far_end.port, lines=[f"a=rtcp:{reports.port}"]))
    far_end.play(packets(tone(440, 200, 8000), ssrc=9)[::2], line.port)
    await notes.until(lambda: len(notes.pieces) >= 5)
    await far_end.until(lambda: len(far_end.packets) >= 3)
    ssrc = far_end.packets[0].ssrc
    theirs = RtcpReceiverInfo(ssrc, 10, 3, 100, 80, 0, 0)
    info = RtcpSenderInfo(1 << 40, 5, 6, 7)
    reports.send(bytes(RtcpSrPacket(9, info, [theirs])), line.port + 1)
    reports.send(b"\x81\xc9\x00", line.port + 1)
    await far_end.until(
        lambda: line.counters()["far_lost_packets"] == 3 and line.counters()["malformed"] == 1
    )

    line.close()
    await reports.until(lambda: any(data[-7:-6] == b"\xcb" for data in reports.raw))

    last = RtcpPacket.parse(reports.raw[-1])
    assert isinstance(last[0], RtcpSrPacket) and last[0].ssrc == ssrc
    assert last[0].reports[0].ssrc == 9
    assert last[0].reports[0].lsr == (1 << 40) >> 16
    assert last[0].reports[0].packets_lost == line.counters()["lost_packets"] > 0
    assert isinstance(last[-1], RtcpByePacket) and last[-1].sources == [ssrc]
    assert line.counters()["far_jitter_ms"] == 10
    reports.close()


async def test_reports_may_share_the_port(make_line, far_end):
    line = make_line()
    line.answer(sdp(far_end.port, lines=["a=rtcp-mux"]))
    await far_end.until(lambda: len(far_end.packets) >= 2)
    ssrc = far_end.packets[0].ssrc

    far_end.send(bytes(RtcpRrPacket(9, [RtcpReceiverInfo(ssrc, 0, 4, 1, 1, 0, 0)])), line.port)
    await far_end.until(lambda: line.counters()["far_lost_packets"] == 4)
    line.close()
    await far_end.until(lambda: any(192 <= data[1] <= 223 for data in far_end.raw))


# ── beginning and end ────────────────────────────────────────────────────────────────────


async def test_ports_come_back_when_a_call_ends(make_line, far_end):
    ports = PortRange(LOOPBACK, 14_000, 14_001, rest_s=0)
    line = make_line(ports=ports)
    with pytest.raises(CallLimitReached):
        make_line(ports=ports)

    line.close()
    line.close()

    assert make_line(ports=ports).port == 14_000


async def test_nothing_can_be_asked_of_a_closed_line(line):
    line.close()

    for ask in (line.offer, line.hold, lambda: line.answer(sdp())):
        with pytest.raises(CallNotLive):
            ask()
    with pytest.raises(CallNotLive):
        await line.send_digits("1")


async def test_closing_ends_what_waits(line):
    keys = asyncio.create_task(line.send_digits("123456"))
    line.playout.start_utterance()
    voice = asyncio.create_task(line.playout.write(tone(440, 5000, 24_000)))
    await asyncio.sleep(0)

    line.close()
    await voice

    with pytest.raises(CallNotLive):
        await keys


@given(st.lists(st.binary(max_size=300) | st.binary(max_size=100).map(lambda b: b"\x80\0" + b)))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_arrives_does_no_harm(fuzzed_line, data):
    loop, line, notes = fuzzed_line
    errors: list[object] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))

    for datagram in data:
        line._post._take(datagram, (LOOPBACK, 4000))
        line._post._take_report(datagram, (LOOPBACK, 4001))

    assert not errors
    assert all(len(piece) == 640 for piece in notes.pieces)


@pytest.fixture
def fuzzed_line():
    async def make():
        notes = Notes()
        wheel = Wheel()
        line = PhoneLine(LineOptions(), PortRange(LOOPBACK, 20_000, 29_999), wheel, notes)
        line.answer(sdp(formats="0 96", lines=EVENTS))
        wheel.leave(line)
        wheel.close()
        return line, notes

    loop = asyncio.new_event_loop()
    line, notes = loop.run_until_complete(make())
    yield loop, line, notes

    async def close():
        line.close()

    loop.run_until_complete(close())
    loop.close()
