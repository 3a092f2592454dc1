"""The reorder window: the timeline is kept whatever the network does."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.transports.webrtc.opus import Libopus
from tests.transports.webrtc.callers import share_at, tone
from tests.transports.webrtc.packets import Listener, Rtp, human_speech, packets_of, without

SECOND = 16_000 * 2


@pytest.fixture
def voice() -> bytes:
    return tone(440, 10_000, 24_000)


def test_packets_in_order_are_played_at_once_and_in_full(libopus, voice):
    listener = Listener(libopus)

    for n, packet in enumerate(packets_of(libopus, voice), start=1):
        listener.hear([packet])
        assert len(listener.pieces) == n

    assert {len(piece) for piece in listener.pieces} == {640}
    assert share_at(listener.sound[SECOND:], 440, 16_000) > 0.99


@pytest.fixture(scope="module")
def speech() -> bytes:
    return human_speech(10)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2])
def test_loss_keeps_the_timeline_and_the_pitch(libopus, voice, share):
    sound = Listener(libopus).hear(without(packets_of(libopus, voice), share))

    assert len(sound) >= 0.99 * 10 * SECOND
    assert share_at(sound[SECOND:], 440, 16_000) > 0.95


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2])
def test_most_lost_speech_is_recovered_from_copies(libopus, speech, share):
    listener = Listener(libopus)
    packets = packets_of(libopus, speech)

    listener.hear(without(packets, share))

    counted = listener.receiver.counters
    lost = len(packets) - counted.packets
    assert counted.recovered + counted.concealed == lost
    assert counted.recovered > lost / 2


def test_recovered_speech_is_closer_to_what_was_said_than_concealed_speech(libopus, speech):
    packets = packets_of(libopus, speech)
    said = np.frombuffer(Listener(libopus).hear(packets), np.int16).astype(float)
    lossy = without(packets, 0.1)

    recovered = np.frombuffer(Listener(libopus).hear(lossy), np.int16)
    decoder = libopus.decoder(16_000)
    received = {packet.sequence_number: packet.payload for packet in lossy}
    concealed = b"".join(
        decoder.decode(received[n]) if n in received else decoder.conceal(320)
        for n in range(len(packets))
    )

    def error(heard: np.ndarray) -> float:
        return float(np.sqrt(((said[: len(heard)] - heard) ** 2).mean()))

    assert error(recovered) < 0.65 * error(np.frombuffer(concealed, np.int16))


def test_packets_that_overtake_each_other_change_nothing(libopus, voice):
    packets = packets_of(libopus, voice)
    shuffled = list(packets)
    for at in range(3, len(shuffled) - 2, 4):
        shuffled[at], shuffled[at + 1] = shuffled[at + 1], shuffled[at]
    listener = Listener(libopus)

    sound = listener.hear(shuffled)

    assert sound == Listener(libopus).hear(packets)
    assert listener.receiver.counters.concealed == 0


def test_a_packet_two_places_late_is_still_waited_for(libopus, voice):
    packets = packets_of(libopus, voice)[:10]
    late = [*packets[:4], packets[5], packets[6], packets[4], *packets[7:]]

    assert Listener(libopus).hear(late) == Listener(libopus).hear(packets)


def test_packets_that_come_twice_are_heard_once(libopus, voice):
    packets = packets_of(libopus, voice)
    listener = Listener(libopus)

    sound = listener.hear([copy for packet in packets for copy in (packet, packet)])

    assert sound == Listener(libopus).hear(packets)
    assert listener.receiver.counters.late == len(packets)


def test_a_copy_of_a_packet_that_waits_counts_as_a_duplicate(libopus, voice):
    packets = packets_of(libopus, voice)
    listener = Listener(libopus)

    listener.hear([packets[0], packets[2], packets[2], packets[1]])

    assert listener.receiver.counters.duplicates == 1
    assert len(listener.pieces) == 3


def test_broken_packets_are_counted_and_concealed(libopus, voice):
    packets = packets_of(libopus, voice)
    for at in range(10, len(packets), 10):
        packets[at].payload = b""
    listener = Listener(libopus)

    sound = listener.hear(packets)

    assert len(sound) == 10 * SECOND
    assert listener.receiver.counters.corrupted == 49


def test_sequence_numbers_and_timestamps_may_wrap_around(libopus, voice):
    packets = packets_of(libopus, voice, first=65_500, timestamp=0xFFFF_FF00)
    listener = Listener(libopus)

    sound = listener.hear(without(packets, 0.05))

    assert sound == Listener(libopus).hear(without(packets_of(libopus, voice), 0.05))
    assert listener.receiver.counters.late == 0


def test_a_new_stream_begins_where_the_old_one_stopped(libopus, voice):
    first = packets_of(libopus, tone(440, 1000, 24_000), first=9000, ssrc=1)
    second = packets_of(libopus, tone(880, 1000, 24_000), first=20, timestamp=77, ssrc=2)
    listener = Listener(libopus)

    sound = listener.hear([*first, *second])

    assert len(sound) == 2 * SECOND
    assert share_at(sound[SECOND // 4 : SECOND], 440, 16_000) > 0.99
    assert share_at(sound[SECOND + SECOND // 4 :], 880, 16_000) > 0.99


def test_what_waits_when_the_stream_changes_is_played(libopus):
    first = packets_of(libopus, tone(440, 200, 24_000), ssrc=1)
    second = packets_of(libopus, tone(440, 200, 24_000), ssrc=2)
    listener = Listener(libopus)

    listener.hear([*first[:5], first[6], first[7], *second])

    assert len(listener.pieces) == 8 + 10
    assert listener.pieces[5] == bytes(640)


def test_a_stream_that_starts_again_lower_is_heard_within_a_second(libopus, voice):
    packets = packets_of(libopus, voice)
    listener = Listener(libopus)

    listener.hear(packets_of(libopus, tone(440, 200, 24_000), first=40_000))
    listener.hear(packets)

    assert len(listener.pieces) >= 10 + len(packets) - 51


def test_of_a_long_gap_a_fifth_of_a_second_is_bridged_and_the_rest_counted(libopus, voice):
    packets = packets_of(libopus, voice)
    listener = Listener(libopus)

    listener.hear([*packets[:50], *packets[150:]])

    assert len(listener.pieces) == 50 + 10 + (len(packets) - 150)
    assert listener.receiver.counters.skipped_ms == 90 * 20


@pytest.mark.parametrize("packet_ms", [10, 40, 60])
def test_packets_of_any_length_become_pieces_of_20_ms(libopus, voice, packet_ms):
    listener = Listener(libopus)

    sound = listener.hear(packets_of(libopus, voice, packet_ms=packet_ms))

    assert {len(piece) for piece in listener.pieces} == {640}
    assert len(sound) >= 10 * SECOND - 60 * 32
    assert share_at(sound[SECOND:], 440, 16_000) > 0.99


def test_a_pause_without_packets_is_silence_in_the_timeline(libopus):
    pcm = tone(440, 200, 24_000)
    before = packets_of(libopus, pcm)
    after = packets_of(libopus, pcm, first=10, timestamp=10 * 960 + 8 * 960)
    listener = Listener(libopus)

    listener.hear([*before, *after])

    assert len(listener.pieces) == 10 + 8 + 10
    assert listener.pieces[10:18] == [bytes(640)] * 8


def test_a_clock_that_trembles_adds_nothing(libopus, voice):
    packets = packets_of(libopus, voice)
    dice = random.Random(1)
    for packet in packets:
        packet.timestamp += dice.randrange(-100, 100)
    listener = Listener(libopus)

    assert len(listener.hear(packets)) == 10 * SECOND


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFFFFFF),
            st.integers(1, 2),
            st.binary(max_size=80),
        ),
        max_size=60,
    )
)
@settings(max_examples=200, deadline=None)
def test_nothing_that_arrives_can_raise(arrivals):
    listener = Listener(Libopus())

    listener.hear(Rtp(*arrival) for arrival in arrivals)

    assert all(len(piece) == 640 for piece in listener.pieces)
    assert listener.receiver.counters.packets == len(arrivals)
