"""The agent's voice going out: paced by one clock, and accounted for to the sample."""

from __future__ import annotations

import asyncio

import pytest
from aiortc.mediastreams import MediaStreamError

from parley.transports.webrtc.sender import PACKET_BYTES, Playout, VoiceTrack
from tests.transports.webrtc.callers import share_at, tone


class Clock:
    """Time that passes only in sleep, or when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        self.now_s += duration_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def playout() -> Playout:
    return Playout(ahead_ms=40)


@pytest.fixture
def track(clock, playout, libopus) -> VoiceTrack:
    track = VoiceTrack(libopus.encoder(24_000), clock=clock, sleep=clock.sleep)
    track.playout = playout
    return track


async def test_a_packet_leaves_every_20_ms_without_drift(track, clock):
    sent = []
    for n in range(500):
        sent.append((clock.now_s, (await track.recv()).pts))
        clock.now_s += 0.001 * (n % 7)  # encoding and sending take their time

    starts = [at_s - 100.0 for at_s, _ in sent]
    assert [pts for _, pts in sent] == [n * 960 for n in range(500)]
    assert all(n * 0.02 - 0.0201 <= at_s <= n * 0.02 + 1e-6 for n, at_s in enumerate(starts))
    assert clock.now_s - 100.0 == pytest.approx(499 * 0.02, abs=0.02)


async def test_a_short_stall_is_made_up_for(track, clock):
    await track.recv()
    clock.now_s += 0.06

    pts = [(await track.recv()).pts for _ in range(4)]

    assert pts == [960, 1920, 2880, 3840]
    assert sum(clock.slept_s) == pytest.approx(0.02)
    assert track.stalled_ms == 0


async def test_after_a_long_stall_the_clock_is_not_hurried_after(track, clock):
    await track.recv()
    clock.now_s += 1.0

    first = await track.recv()
    second = await track.recv()

    assert first.pts == 960 * 50
    assert second.pts == first.pts + 960
    assert clock.slept_s == [pytest.approx(0.02)]
    assert track.stalled_ms == 980


async def test_what_counts_as_played_is_what_was_sent(track, playout):
    playout.start_utterance()
    writing = asyncio.create_task(playout.write(tone(440, 500, 24_000)))
    await asyncio.sleep(0)

    for _ in range(7):
        await track.recv()
    played_ms = playout.clear()
    for _ in range(5):
        await track.recv()
    await writing

    assert played_ms == playout.played_ms == 140
    assert playout.clear() == 140
    assert playout.counters.cleared_ms == 360


async def test_the_next_utterance_counts_from_nothing(track, playout):
    playout.start_utterance()
    await playout.write(bytes(PACKET_BYTES))
    await track.recv()
    playout.end_utterance()
    assert playout.played_ms == 20

    playout.start_utterance()

    assert playout.played_ms == 0


async def test_a_writer_is_held_up_while_more_than_40_ms_wait(track, playout):
    for _ in range(2):
        await playout.write(bytes(PACKET_BYTES))
    third = asyncio.create_task(playout.write(bytes(PACKET_BYTES)))
    await asyncio.sleep(0)
    assert not third.done()
    assert playout.held_ms == 60

    await track.recv()
    await third

    assert playout.held_ms == 40


async def test_a_pause_in_mid_speech_is_an_underrun_and_one_after_it_is_not(track, playout):
    playout.start_utterance()
    await track.recv()
    await playout.write(bytes(PACKET_BYTES))
    for _ in range(4):
        await track.recv()
    await playout.write(bytes(PACKET_BYTES))
    await track.recv()
    playout.end_utterance()
    for _ in range(4):
        await track.recv()

    assert playout.counters.underruns == 1
    assert playout.counters.underrun_ms == 60


async def test_drained_returns_when_the_last_sample_is_out(track, playout):
    await playout.write(bytes(PACKET_BYTES + 100))
    drained = asyncio.create_task(playout.drained())
    await track.recv()
    await asyncio.sleep(0)
    assert not drained.done()

    await track.recv()
    await drained

    assert playout.held_ms == 0


async def test_the_packets_are_the_voice(track, playout, libopus):
    pcm = tone(440, 1000, 24_000)
    decoder = libopus.decoder(16_000)
    writing = asyncio.create_task(playout.write(pcm))
    await asyncio.sleep(0)

    heard = b"".join([decoder.decode(bytes(await track.recv())) for _ in range(50)])
    await writing

    assert share_at(heard[3200:], 440, 16_000) > 0.99


async def test_without_an_encoder_it_gives_samples(clock, playout):
    track = VoiceTrack(None, clock=clock, sleep=clock.sleep)
    track.playout = playout
    await playout.write(tone(440, 20, 24_000))

    speech = await track.recv()
    silence = await track.recv()

    assert bytes(speech.planes[0])[:960] == tone(440, 20, 24_000)
    assert not any(bytes(silence.planes[0])[:960])
    assert (speech.pts, silence.pts, speech.sample_rate) == (0, 480, 24_000)


async def test_a_track_without_a_playout_leaves_the_speech_alone(track, playout):
    await playout.write(bytes(PACKET_BYTES))
    track.playout = None

    await track.recv()

    assert playout.held_ms == 20


async def test_a_stopped_track_says_so(track):
    track.stop()

    with pytest.raises(MediaStreamError):
        await track.recv()
