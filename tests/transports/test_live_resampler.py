"""Speech on its way out is resampled at once, and nothing of one utterance reaches the next."""

from __future__ import annotations

import numpy as np

from parley.transports.live_resampler import LiveResampler

PIPER_HZ, PHONE_HZ = 22_050, 8000


def tone(duration_ms: int) -> bytes:
    at = np.arange(PIPER_HZ * duration_ms // 1000)
    return (np.sin(at / 9) * 8000).astype(np.int16).tobytes()


async def test_no_more_than_a_few_milliseconds_are_held_back_and_the_end_gives_them():
    resampler = LiveResampler()

    first = await resampler.resample(tone(20), PIPER_HZ, PHONE_HZ)
    rest = await resampler.flush()

    assert len(first) / 2 >= PHONE_HZ * 0.017
    assert abs(len(first + rest) / 2 - PHONE_HZ * 0.02) <= 2


async def test_what_was_given_up_is_not_heard_later():
    resampler = LiveResampler()
    await resampler.resample(tone(20), PIPER_HZ, PHONE_HZ)

    await resampler.reset()
    silence = await resampler.resample(bytes(1764), PIPER_HZ, PHONE_HZ)

    assert not np.frombuffer(silence, np.int16).any()


async def test_another_voice_may_have_another_rate():
    resampler = LiveResampler()
    await resampler.resample(tone(20), PIPER_HZ, PHONE_HZ)

    same = await resampler.resample(b"\1\0" * 160, PHONE_HZ, PHONE_HZ)

    assert same.endswith(b"\1\0" * 160)


async def test_sound_at_the_right_rate_passes_as_it_is():
    sound = tone(20)

    assert await LiveResampler().resample(sound, PHONE_HZ, PHONE_HZ) == sound
