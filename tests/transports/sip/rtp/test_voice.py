"""What goes out: the laws of RTP, and that what counts as played was played."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import numpy as np
import pytest
from aiortc.rtp import RtpPacket

from parley.core.errors import CallNotLive, InvalidValue, NotSupported
from parley.core.g711 import from_ulaw
from parley.transports.phone_playout import PhonePlayout
from parley.transports.sip.agreement import Negotiated
from parley.transports.sip.rtp.codecs import G722, OPUS, PCMA, PCMU, make_decoder
from parley.transports.sip.rtp.voice import KEEP_ALIVE_S, Voice
from tests.transports.webrtc.callers import share_at, tone

PLAIN = Negotiated(PCMU, 0, 0, event_type=96)


class Mouth:
    """A ``Voice`` whose wheel is turned by hand; one turn is one packet's time."""

    def __init__(self, agreed: Negotiated = PLAIN, libopus=None, **options) -> None:
        self.playout = PhonePlayout(60, rate_hz=options.pop("rate_hz", 24_000))
        self.raw: list[bytes] = []
        options.setdefault("sends_silence", True)
        self.voice = Voice(self.playout, self.raw.append, libopus, **options)
        self.slot = 1000
        self.agreed = agreed
        self.voice.agree(agreed)

    def turn(self, times: int = 1) -> list[RtpPacket]:
        before = len(self.raw)
        for _ in range(times):
            self.slot += self.agreed.packet_ms // 5
            self.voice.turn(self.slot)
        return self.packets[before:]

    @property
    def packets(self) -> list[RtpPacket]:
        return [RtpPacket.parse(raw) for raw in self.raw]

    def say(self, pcm: bytes) -> None:
        self.playout.start_utterance()
        self.playout.put(pcm)
        self.playout.end_utterance()


def steps(values: list[int], bits: int) -> set[int]:
    return {(b - a) % (1 << bits) for a, b in itertools.pairwise(values)}


@pytest.mark.parametrize("packet_ms", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("codec, per_ms", [(PCMU, 8), (PCMA, 8), (G722, 8), (OPUS, 48)])
def test_numbers_and_stamps_go_up_evenly(libopus, codec, per_ms, packet_ms):
    if packet_ms not in codec.frames_ms:
        packet_ms = 20
    mouth = Mouth(Negotiated(codec, 9, 9, packet_ms), libopus)
    mouth.say(tone(440, 1200, 24_000))

    sent = mouth.turn(40)

    assert steps([p.sequence_number for p in sent], 16) == {1}
    assert steps([p.timestamp for p in sent], 32) == {per_ms * packet_ms}
    assert [p.marker for p in sent] == [1] + [0] * 39
    assert len({p.ssrc for p in sent}) == 1
    if codec is not OPUS:
        assert {len(p.payload) for p in sent} == {8 * packet_ms}


@pytest.mark.parametrize("codec", [PCMU, PCMA, G722, OPUS])
@pytest.mark.parametrize("rate_hz", [8000, 16_000, 24_000])
def test_the_far_side_hears_what_was_said(libopus, codec, rate_hz):
    mouth = Mouth(Negotiated(codec, 9, 9), libopus, rate_hz=rate_hz)
    mouth.say(tone(440, 1000, rate_hz))

    sent = mouth.turn(50)

    decoder = make_decoder(codec, libopus)
    heard = b"".join(decoder.decode(p.payload) for p in sent)
    assert len(heard) == decoder.rate_hz * 2
    assert share_at(heard[3200:-640], 440, decoder.rate_hz) > 0.98
    assert mouth.playout.played_ms == 1000


@pytest.mark.parametrize("codec", [PCMU, PCMA, G722, OPUS])
def test_silence_is_silent_for_as_long_as_it_lasts(libopus, codec):
    mouth = Mouth(Negotiated(codec, 9, 9), libopus)
    mouth.say(tone(440, 200, 24_000))
    mouth.turn(10)

    quiet = mouth.turn(300)

    decoder = make_decoder(codec, libopus)
    heard = np.frombuffer(b"".join(decoder.decode(p.payload) for p in quiet), np.int16)
    assert np.abs(heard[len(heard) // 10 :]).max() <= 16


def test_without_sent_silence_time_goes_on_and_the_marker_tells_of_it():
    mouth = Mouth(sends_silence=False)
    mouth.say(tone(440, 100, 24_000))
    first = mouth.turn(5)

    between = mouth.turn(50)
    mouth.say(tone(440, 100, 24_000))
    second = mouth.turn(5)

    assert between == []
    assert [p.marker for p in first + second] == [1, 0, 0, 0, 0] * 2
    assert (second[0].sequence_number - first[-1].sequence_number) & 0xFFFF == 1
    assert (second[0].timestamp - first[-1].timestamp) & 0xFFFF_FFFF == 51 * 160


def test_a_silent_line_is_kept_open():
    mouth = Mouth(sends_silence=False)
    mouth.turn(1)

    kept = mouth.turn(50 * KEEP_ALIVE_S * 2 + 10)

    assert len(kept) == 2
    assert kept[0].payload == b"\xff" * 160


def test_a_stalled_process_leaves_a_gap_in_time_and_none_in_numbers():
    mouth = Mouth()
    mouth.say(tone(440, 200, 24_000))
    before = mouth.turn(2)
    mouth.slot += 40

    after = mouth.turn(2)

    assert (after[0].sequence_number - before[-1].sequence_number) & 0xFFFF == 1
    assert (after[0].timestamp - before[-1].timestamp) & 0xFFFF_FFFF == 11 * 160
    assert after[0].marker == 1


# ── what counts as played ────────────────────────────────────────────────────────────────


async def test_what_was_played_is_what_was_sent_when_somebody_interrupts():
    mouth = Mouth()
    mouth.playout.start_utterance()
    voice = asyncio.create_task(mouth.playout.write(tone(440, 2000, 24_000)))
    await asyncio.sleep(0)
    sent = mouth.turn(37)

    played_ms = mouth.playout.clear()
    await voice
    after = mouth.turn(5)

    assert played_ms == len(sent) * 20 == 740
    assert {p.payload for p in after} == {b"\xff" * 160}
    assert mouth.playout.held_ms == 0


async def test_no_more_than_60_ms_wait():
    mouth = Mouth()
    mouth.playout.start_utterance()
    for _ in range(3):
        await mouth.playout.write(tone(440, 20, 24_000))

    fourth = asyncio.create_task(mouth.playout.write(tone(440, 20, 24_000)))
    await asyncio.sleep(0)
    was_held_up = not fourth.done()
    mouth.turn(1)
    await fourth

    assert was_held_up
    assert mouth.playout.held_ms <= 60


async def test_what_waits_is_drained_to_the_last_sample():
    mouth = Mouth()
    mouth.playout.start_utterance()
    await mouth.playout.write(tone(440, 50, 24_000))
    mouth.playout.end_utterance()

    drained = asyncio.create_task(mouth.playout.drained())
    sent = mouth.turn(3)
    await drained

    heard = from_ulaw(b"".join(p.payload for p in sent))
    assert mouth.playout.played_ms == 50
    assert not any(heard[50 * 16 :])


def test_speech_that_comes_in_drops_has_no_holes_within_packets():
    mouth = Mouth()
    pcm = tone(440, 1000, 24_000)
    mouth.playout.start_utterance()

    heard = b""
    for at in range(0, len(pcm), 960):
        mouth.playout.put(pcm[at : at + 960])
        heard += b"".join(from_ulaw(p.payload) for p in mouth.turn(1))

    samples = np.frombuffer(heard, np.int16)[400:]
    # A tone of 440 Hz never stays near zero for longer than a few samples.
    assert np.convolve(np.abs(samples) < 300, np.ones(8), "valid").max() < 8


def test_a_new_codec_in_mid_word_loses_none_of_it():
    mouth = Mouth()
    mouth.playout.start_utterance()
    mouth.playout.put(tone(440, 400, 24_000))
    mouth.playout.end_utterance()
    first = mouth.turn(10)
    mouth.agreed = replace(PLAIN, codec=G722, payload_type=9, packet_ms=40)

    mouth.voice.agree(mouth.agreed)
    second = mouth.turn(5)

    assert mouth.playout.played_ms == 400
    assert mouth.playout.held_ms < 2
    assert {p.payload_type for p in second} == {9}
    assert (second[0].timestamp - first[-1].timestamp) & 0xFFFF_FFFF == 320


def test_on_hold_nothing_is_sent_and_nothing_lost():
    mouth = Mouth()
    mouth.say(tone(440, 100, 24_000))
    mouth.turn(2)
    mouth.voice.agree(replace(PLAIN, may_send=False))

    held = mouth.turn(20)
    mouth.voice.agree(PLAIN)
    sent = mouth.turn(3)

    assert held == []
    assert mouth.playout.played_ms == 100
    assert sent[0].marker == 1


# ── keys ─────────────────────────────────────────────────────────────────────────────────


async def test_a_key_follows_rfc_4733():
    mouth = Mouth()
    mouth.turn(1)
    sending = asyncio.create_task(mouth.voice.digits.send("5"))
    await asyncio.sleep(0)

    sent = mouth.turn(12)
    await sending

    keys = [p for p in sent if p.payload_type == 96]
    assert {p.payload[0] for p in keys} == {5}
    assert [p.marker for p in keys] == [1] + [0] * 6
    assert len({p.timestamp for p in keys}) == 1
    assert [p.payload[1] >> 7 for p in keys] == [0] * 4 + [1] * 3
    assert [int.from_bytes(p.payload[2:4]) for p in keys] == [160, 320, 480, 640, 800, 800, 800]
    assert steps([p.sequence_number for p in keys], 16) == {1}


async def test_the_voice_waits_while_keys_are_sent():
    mouth = Mouth()
    mouth.say(tone(440, 100, 24_000))
    sending = asyncio.create_task(mouth.voice.digits.send("1#"))
    await asyncio.sleep(0)

    sent = mouth.turn(60)
    await sending

    kinds = [p.payload_type for p in sent]
    assert kinds[:14] == [96] * 14
    assert {p.payload[0] for p in sent[:14]} == {1, 11}
    assert len({p.timestamp for p in sent[:14]}) == 2
    assert 96 not in kinds[14:]
    assert mouth.playout.played_ms == 100


async def test_keys_for_opus_count_by_its_clock(libopus):
    mouth = Mouth(Negotiated(OPUS, 107, 107, event_type=100), libopus)
    sending = asyncio.create_task(mouth.voice.digits.send("9"))
    await asyncio.sleep(0)

    sent = mouth.turn(12)
    await sending

    durations = [int.from_bytes(p.payload[2:4]) for p in sent if p.payload_type == 100]
    assert durations == [960, 1920, 2880, 3840, 4800, 4800, 4800]


async def test_keys_that_are_given_up_stop_and_those_of_others_go_on():
    mouth = Mouth()
    first = asyncio.create_task(mouth.voice.digits.send("123"))
    second = asyncio.create_task(mouth.voice.digits.send("9"))
    await asyncio.sleep(0)
    mouth.turn(3)

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    sent = mouth.turn(60)
    await second

    assert {p.payload[0] for p in sent if p.payload_type == 96} == {1, 9}


@pytest.mark.parametrize("digits", ["", "12x", "1 2", "é"])
async def test_what_is_on_no_keypad_is_refused(digits):
    with pytest.raises(InvalidValue):
        await Mouth().voice.digits.send(digits)


async def test_keys_end_with_the_call():
    mouth = Mouth()
    sending = asyncio.create_task(mouth.voice.digits.send("123"))
    await asyncio.sleep(0)

    mouth.voice.digits.give_up(CallNotLive("over"))

    with pytest.raises(CallNotLive):
        await sending


async def test_keys_end_when_the_far_side_takes_none_any_more():
    mouth = Mouth()
    sending = asyncio.create_task(mouth.voice.digits.send("123"))
    await asyncio.sleep(0)
    mouth.turn(2)

    mouth.voice.agree(replace(PLAIN, event_type=None))
    after = mouth.turn(2)

    with pytest.raises(NotSupported):
        await sending
    assert {p.payload_type for p in after} == {0}


# ── nobody takes it ──────────────────────────────────────────────────────────────────────────


async def test_what_is_said_into_a_closed_line_is_thrown_away_and_waited_for_by_nobody():
    mouth = Mouth()
    mouth.playout.start_utterance()
    speaking = asyncio.create_task(mouth.playout.write(tone(440, 1000, 24_000)))
    await asyncio.sleep(0)
    assert not speaking.done()

    mouth.playout.close()
    await speaking
    await mouth.playout.write(tone(440, 1000, 24_000))
    await mouth.playout.drained()
    await mouth.playout.rested(200)

    assert mouth.playout.held_ms == 0


async def test_the_next_line_hears_nothing_of_what_was_said_before_it():
    mouth = Mouth()
    mouth.playout.close()
    mouth.playout.put(tone(440, 100, 24_000))
    mouth.playout.reopen()

    sent = mouth.turn(5)
    mouth.say(tone(440, 100, 24_000))

    assert {len(p.payload) for p in sent} == {160}
    assert np.abs(np.frombuffer(from_ulaw(sent[0].payload), np.int16)).max() <= 8
    assert mouth.playout.held_ms == 100


async def test_time_passes_where_nothing_may_be_sent():
    mouth = Mouth(replace(PLAIN, may_send=False))
    resting = asyncio.create_task(mouth.playout.rested(100))
    await asyncio.sleep(0)

    mouth.turn(5)
    await resting

    assert mouth.packets == []
