"""The codec: what goes in comes out, what is lost is mended, what is broken does no harm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.core.errors import BadAudio
from parley.transports.webrtc.opus import Libopus
from tests.transports.webrtc.callers import share_at, tone


def test_a_voice_survives_encoding(libopus):
    encoder, decoder = libopus.encoder(24_000), libopus.decoder(16_000)
    pcm = tone(440, 1000, 24_000)

    heard = b"".join(
        decoder.decode(encoder.encode(pcm[at : at + 960])) for at in range(0, len(pcm), 960)
    )

    assert len(heard) == 16_000 * 2
    assert share_at(heard[3200:], 440, 16_000) > 0.99


def test_a_lost_packet_is_recovered_from_its_successor(libopus):
    encoder, whole, mended = (
        libopus.encoder(24_000),
        libopus.decoder(16_000),
        libopus.decoder(16_000),
    )
    pcm = tone(300, 1000, 24_000)
    packets = [encoder.encode(pcm[at : at + 960]) for at in range(0, len(pcm), 960)]
    for packet in packets[:20]:
        whole.decode(packet)
        mended.decode(packet)

    true = np.frombuffer(whole.decode(packets[20]), np.int16).astype(float)
    assert mended.carries_copy(packets[21])
    rebuilt = np.frombuffer(mended.recover(packets[21], 320), np.int16).astype(float)

    assert np.sqrt(((true - rebuilt) ** 2).mean()) < 0.25 * np.sqrt((true**2).mean())


def test_the_same_silent_packet_again_and_again_stays_silent(libopus):
    encoder, decoder = libopus.encoder(24_000), libopus.decoder(48_000)
    for at in range(0, 48_000, 960):
        decoder.decode(encoder.encode(tone(440, 1000, 24_000)[at : at + 960]))

    packets = [encoder.encode_silence() for _ in range(200)]
    heard = np.frombuffer(b"".join(map(decoder.decode, packets)), np.int16)

    assert len(set(packets[20:])) == 1
    assert np.abs(heard[12 * 960 :]).max() <= 2


def test_speech_after_a_long_rest_is_whole(libopus):
    encoder, decoder = libopus.encoder(24_000), libopus.decoder(16_000)
    for _ in range(100):
        decoder.decode(encoder.encode_silence())
    pcm = tone(440, 500, 24_000)

    heard = b"".join(
        decoder.decode(encoder.encode(pcm[at : at + 960])) for at in range(0, len(pcm), 960)
    )

    assert share_at(heard[1280:], 440, 16_000) > 0.99


def test_an_empty_packet_is_bad_audio(libopus):
    with pytest.raises(BadAudio, match="empty"):
        libopus.decoder(16_000).decode(b"")


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_bytes_can_hurt_the_decoder(payload):
    decoder = Libopus().decoder(16_000)
    try:
        pcm = decoder.decode(payload)
    except BadAudio:
        pcm = decoder.conceal(320)
    assert 0 < len(pcm) <= 16_000 * 2 * 120 // 1000
    assert len(decoder.recover(payload, 320)) == 640


def test_a_frame_of_impossible_length_is_refused(libopus):
    with pytest.raises(BadAudio, match="17 samples"):
        libopus.encoder(24_000).encode(bytes(34))
