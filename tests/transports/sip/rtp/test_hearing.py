"""What is heard of a caller, whatever the network does with the packets."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import numpy as np
import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.core.audio import Resampler
from parley.transports.sip.agreement import Negotiated
from parley.transports.sip.rtp.codecs import G722, OPUS, PCMA, PCMU
from parley.transports.sip.rtp.hearing import Hearing
from tests.transports.sip.rtp.far_end import Notes, packets
from tests.transports.webrtc.callers import share_at, tone
from tests.transports.webrtc.packets import human_speech, packets_of

SECOND = 16_000 * 2
PLAIN = Negotiated(PCMU, 0, 0, event_type=96, noise_type=13)
WIDE = Negotiated(G722, 9, 9, event_type=96)


class Ear:
    """A ``Hearing`` with a clock that is turned by hand."""

    def __init__(self, agreed: Negotiated = PLAIN, libopus=None) -> None:
        self.notes = Notes()
        self.hearing = Hearing(self.notes.on_sound, self.notes.on_digit, libopus)
        self.hearing.agree(agreed)
        self.now_s = 100.0

    def hear(self, sounds, step_ms: int = 20) -> bytes:
        for packet in sounds:
            self.hearing.take(packet, self.now_s)
            self.pass_time(step_ms)
        return self.notes.sound

    def pass_time(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 20):
            self.now_s += 0.02
            self.hearing.tick(self.now_s)


def other(sequence: int, kind: int, payload: bytes, *, timestamp: int = 0, ssrc: int = 1):
    return RtpPacket(kind, 0, sequence & 0xFFFF, timestamp, ssrc, payload)


def key(sequence: int, digit: int, *, end: bool, duration: int, timestamp: int, ssrc: int = 1):
    payload = struct.pack("!BBH", digit, 0x8A if end else 0x0A, duration)
    return other(sequence, 96, payload, timestamp=timestamp, ssrc=ssrc)


def test_every_packet_is_heard_the_moment_it_comes():
    ear = Ear()

    for n, packet in enumerate(packets(tone(440, 2000, 8000)), start=1):
        ear.hearing.take(packet, ear.now_s)
        assert len(ear.notes.pieces) == n

    assert {len(piece) for piece in ear.notes.pieces} == {640}
    assert share_at(ear.notes.sound[SECOND // 2 :], 440, 16_000) > 0.99


@pytest.mark.parametrize("agreed, codec, rate_hz", [(PLAIN, "ulaw", 8000), (WIDE, "g722", 16_000)])
def test_the_sound_itself_is_held_back_by_less_than_five_milliseconds(agreed, codec, rate_hz):
    pcm = np.frombuffer(human_speech(3), np.int16)
    down = Resampler(24_000, rate_hz)
    said = down.push(pcm.tobytes()) + down.flush()

    heard = np.frombuffer(Ear(agreed).hear(packets(said, codec=codec)), np.int16).astype(float)

    up = Resampler(rate_hz, 16_000)
    true = np.frombuffer(up.push(said) + up.flush(), np.int16).astype(float)[: len(heard)]
    spectra = np.fft.rfft(heard, 2 * len(heard)) * np.conj(np.fft.rfft(true, 2 * len(heard)))
    likeness = np.fft.irfft(spectra)[:4000]
    assert int(np.argmax(likeness)) / 16 < 5


@pytest.mark.parametrize("codec, agreed", [("alaw", replace(PLAIN, codec=PCMA, heard_type=8))])
def test_a_law_is_understood(codec, agreed):
    sound = Ear(agreed).hear(packets(tone(440, 1000, 8000), codec=codec))

    assert share_at(sound[SECOND // 4 :], 440, 16_000) > 0.99


def test_wide_sound_stays_wide():
    sound = Ear(WIDE).hear(packets(tone(5000, 1000, 16_000), codec="g722"))

    assert share_at(sound[SECOND // 4 :], 5000, 16_000) > 0.95


def test_opus_comes_with_its_own_clock_and_mending(libopus):
    ear = Ear(Negotiated(OPUS, 107, 107), libopus)
    sent = packets_of(libopus, tone(440, 2000, 24_000))
    sounds = [
        RtpPacket(107, 0, p.sequence_number, p.timestamp, p.ssrc, p.payload)
        for p in sent
        if p.sequence_number % 10 != 5
    ]

    sound = ear.hear(sounds)

    assert len(sound) == 2 * SECOND
    assert share_at(sound[SECOND // 2 :], 440, 16_000) > 0.95


@pytest.mark.parametrize("packet_ms", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("agreed, codec", [(PLAIN, "ulaw"), (WIDE, "g722")])
def test_packets_of_any_length_become_pieces_of_20_ms(agreed, codec, packet_ms):
    rate_hz = agreed.codec.heard_hz

    ear = Ear(replace(agreed, packet_ms=packet_ms))
    sound = ear.hear(
        packets(tone(440, 1200, rate_hz), codec=codec, packet_ms=packet_ms), step_ms=packet_ms
    )

    assert {len(piece) for piece in ear.notes.pieces} == {640}
    assert 1.1 * SECOND < len(sound) <= 1.2 * SECOND
    assert share_at(sound[SECOND // 4 :], 440, 16_000) > 0.99


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("agreed, codec", [(PLAIN, "ulaw"), (WIDE, "g722")])
def test_loss_is_concealed_and_stalls_nothing(agreed, codec, share):
    dice = random.Random(5)
    sounds = packets(tone(440, 6000, agreed.codec.heard_hz), codec=codec)
    kept = [p for n, p in enumerate(sounds) if n in (0, 298, 299) or dice.random() >= share]
    ear = Ear(agreed)

    sound = ear.hear(kept, step_ms=20)

    counted = ear.hearing.counters()
    assert counted["concealed"] == len(sounds) - len(kept)
    assert len(sound) == 6 * SECOND
    assert share_at(sound[SECOND:], 440, 16_000) > 0.93


def test_concealed_speech_is_closer_to_speech_than_a_hole():
    down = Resampler(24_000, 8000)
    said = down.push(human_speech(10)) + down.flush()
    sounds = packets(said)
    lost = range(7, len(sounds) - 1, 12)

    true = np.frombuffer(Ear().hear(sounds), np.int16)
    heard = np.frombuffer(Ear().hear(p for n, p in enumerate(sounds) if n not in lost), np.int16)

    assert len(heard) == len(true)
    # The resampler's two milliseconds lie before each packet.
    gaps = [slice(n * 320 + 32, n * 320 + 352) for n in lost]
    concealed = [distance(heard[gap], true[gap]) for gap in gaps]
    holes = [distance(np.zeros(320), true[gap]) for gap in gaps]
    assert np.mean(concealed) < 0.6 * np.mean(holes)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Between two spectra, in tens of decibels."""
    levels = [
        np.log10(np.abs(np.fft.rfft(part * np.hanning(len(part)))[:160]) ** 2 + 1e4)
        for part in (one, other)
    ]
    return float(np.abs(levels[0] - levels[1]).mean())


def test_packets_that_overtake_each_other_change_nothing():
    sounds = packets(tone(440, 1000, 8000))
    shuffled = list(sounds)
    for at in range(2, 46, 4):
        shuffled[at : at + 3] = [shuffled[at + 1], shuffled[at + 2], shuffled[at]]

    assert Ear().hear(shuffled) == Ear().hear(sounds)


def test_packets_that_come_twice_are_heard_once():
    sounds = packets(tone(440, 1000, 8000))

    assert Ear().hear([p for p in sounds for _ in "12"], step_ms=0) == Ear().hear(sounds, 0)


def test_a_new_stream_is_heard_from_its_first_packet():
    old = packets(tone(440, 500, 8000), first=65_530, timestamp=0xFFFF_FF00, ssrc=1)
    new = packets(tone(880, 500, 8000), first=3, timestamp=5, ssrc=2)
    ear = Ear()

    sound = ear.hear([*old, *new])

    assert len(sound) == SECOND
    assert share_at(sound[SECOND // 2 + SECOND // 8 :], 880, 16_000) > 0.99
    assert ear.hearing.counters()["concealed"] == 0


def test_other_payload_types_are_no_sound_and_no_loss():
    sounds = packets(tone(440, 400, 8000))
    for n in (5, 6, 12):
        sounds[n].payload_type = 97
    ear = Ear()

    ear.hear(sounds)

    counted = ear.hearing.counters()
    assert ear.hearing.foreign_packets == 3
    assert counted["concealed"] == counted["corrupted"] == 0


# ── silence ──────────────────────────────────────────────────────────────────────────────


def test_a_pause_that_is_announced_is_silence_and_no_loss():
    before = packets(tone(440, 400, 8000))
    after = packets(tone(440, 400, 8000), first=21, timestamp=(20 + 50) * 160)
    ear = Ear()

    ear.hear(before)
    ear.hear([other(20, 13, b"\x4e")])
    ear.pass_time(980)
    ear.hear(after)

    assert ear.hearing.counters()["concealed"] == 0
    assert abs(len(ear.notes.pieces) - 90) <= 1
    assert np.abs(np.frombuffer(b"".join(ear.notes.pieces[22:68]), np.int16)).max() == 0


def test_a_pause_that_is_not_announced_takes_as_long():
    before = packets(tone(440, 400, 8000))
    after = packets(tone(440, 400, 8000), first=20, timestamp=(20 + 50) * 160)
    ear = Ear()

    ear.hear(before)
    ear.pass_time(1000)
    ear.hear(after)

    assert ear.hearing.counters()["concealed"] == 0
    assert abs(len(ear.notes.pieces) - 90) <= 1


def test_a_network_that_dies_is_heard_as_silence_and_its_loss_not_filled_twice():
    sounds = packets(tone(440, 2000, 8000))
    ear = Ear()

    ear.hear(sounds[:40])
    ear.pass_time(800)
    while_dead = len(ear.notes.pieces)
    ear.hear(sounds[80:])

    assert abs(while_dead - 80) <= 1
    assert abs(len(ear.notes.pieces) - 100) <= 2
    assert ear.hearing.counters()["skipped_ms"] == 0


def test_before_the_first_packet_there_is_nothing_to_hear():
    ear = Ear()

    ear.pass_time(5000)

    assert ear.notes.pieces == []


def test_a_held_side_that_goes_on_talking_is_not_heard():
    ear = Ear()
    ear.hear(packets(tone(440, 200, 8000)))
    ear.hearing.agree(replace(PLAIN, may_hear=False))

    before = len(ear.notes.sound)
    sound = ear.hear(packets(tone(440, 1000, 8000), first=10, timestamp=1600))

    # The resampler's own two milliseconds of the last word are still to come.
    after = np.frombuffer(sound[before + 64 :], np.int16)
    assert len(after) > 12_000
    assert np.abs(after).max() == 0


# ── keys ─────────────────────────────────────────────────────────────────────────────────


def press(digit: int, first: int, timestamp: int, ends: int = 3) -> list[RtpPacket]:
    growing = [
        key(first + n, digit, end=False, duration=160 * (n + 1), timestamp=timestamp)
        for n in range(5)
    ]
    last = [
        key(first + 5 + n, digit, end=True, duration=960, timestamp=timestamp) for n in range(ends)
    ]
    return growing + last


def test_a_key_is_told_once_and_is_no_loss_of_sound():
    before, after = packets(tone(440, 200, 8000)), packets(tone(440, 200, 8000))
    for n, packet in enumerate(after):
        packet.sequence_number, packet.timestamp = 18 + n, (18 + n) * 160
    ear = Ear()

    ear.hear([*before, *press(5, 10, 1600), *after])

    assert ear.notes.digits == ["5"]
    assert ear.hearing.counters()["concealed"] == 0


def test_the_same_key_twice_is_told_twice():
    ear = Ear()

    ear.hear([*press(11, 0, 1000), *press(11, 8, 4000), *press(10, 16, 8000)])

    assert ear.notes.digits == ["#", "#", "*"]


def test_a_key_whose_ends_are_all_lost_is_told_after_a_while():
    ear = Ear()

    ear.hear(press(7, 0, 1000, ends=0))
    assert ear.notes.digits == []
    ear.pass_time(120)

    assert ear.notes.digits == ["7"]


def test_the_next_key_ends_one_whose_end_is_lost():
    ear = Ear()

    ear.hear([*press(1, 0, 1000, ends=0), *press(2, 5, 3000)])

    assert ear.notes.digits == ["1", "2"]


def test_only_the_last_end_is_enough_and_late_packets_press_nothing():
    packets_of_key = press(9, 0, 1000)
    ear = Ear()

    ear.hear([packets_of_key[-1], *press(8, 8, 5000), packets_of_key[0], packets_of_key[6]])

    assert ear.notes.digits == ["9", "8"]


def test_a_key_held_for_longer_than_one_event_can_say_is_one_key():
    long = [key(0, 3, end=False, duration=0xFFFF, timestamp=100)]
    rest = [key(1, 3, end=True, duration=500, timestamp=100 + 0xFFFF)]
    ear = Ear()

    ear.hear([*long, *rest])

    assert ear.notes.digits == ["3"]


def test_keys_in_a_stream_of_their_own_leave_the_voice_alone():
    sounds = packets(tone(440, 1000, 8000))
    keys = [replace_ssrc(p, 77) for p in press(4, 5000, 9000)]
    mixed = [p for n, s in enumerate(sounds) for p in ([s, keys[n - 10]] if 10 <= n < 18 else [s])]
    ear = Ear()

    ear.hear(mixed, step_ms=0)

    assert ear.notes.digits == ["4"]
    assert ear.notes.sound == Ear().hear(sounds, step_ms=0)


def replace_ssrc(packet: RtpPacket, ssrc: int) -> RtpPacket:
    packet.ssrc = ssrc
    return packet


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x8a\x00", b"\xff\x8a\x00\x10"])
def test_what_is_no_key_is_passed_over(payload):
    ear = Ear()

    ear.hear([other(0, 96, payload)])
    ear.pass_time(200)

    assert ear.notes.digits == []


# ── accounts, and whatever else may come ─────────────────────────────────────────────────


def test_loss_and_jitter_are_counted():
    sounds = packets(tone(440, 4000, 8000))
    dice = random.Random(3)
    ear = Ear()

    for n, packet in enumerate(sounds):
        if n % 10 != 5:
            ear.hearing.take(packet, 100 + n * 0.02 + dice.uniform(0, 0.03))

    assert ear.hearing.reception is not None
    assert ear.hearing.reception.lost == 20
    assert 5 < ear.hearing.reception.jitter_ms < 20
    report = ear.hearing.reception.report(0, 0)
    assert (report.packets_lost, report.fraction_lost) == (20, 25)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 9, 13, 96, 97]),
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFF_FFFF),
            st.integers(1, 2),
            st.binary(max_size=200),
            st.integers(0, 60_000),
        ),
        max_size=40,
    ),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_nothing_that_arrives_can_raise(arrivals, is_wide):
    ear = Ear(WIDE if is_wide else PLAIN)

    for kind, sequence, timestamp, ssrc, payload, later_ms in arrivals:
        ear.hearing.take(RtpPacket(kind, 0, sequence, timestamp, ssrc, payload), ear.now_s)
        ear.now_s += later_ms / 1000
        ear.hearing.tick(ear.now_s)
    ear.hearing.finish()

    assert all(len(piece) == 640 for piece in ear.notes.pieces)
