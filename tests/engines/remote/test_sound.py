"""Sound at the rate that another program wants."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from parley.core.audio import Audio, pcm_bytes
from parley.engines.remote.sound import pcm_at


async def pieces(*rates_hz: int) -> AsyncIterator[Audio]:
    for rate_hz in rates_hz:
        yield Audio(bytes(pcm_bytes(20, rate_hz)), rate_hz)
        yield Audio(b"", rate_hz)


async def test_the_right_rate_passes_untouched_and_nothing_empty_does() -> None:
    assert [len(pcm) async for pcm in pcm_at(16_000, pieces(16_000, 16_000))] == [640, 640]


async def test_rates_may_change_in_mid_utterance() -> None:
    sound = [pcm async for pcm in pcm_at(16_000, pieces(8000, 48_000, 16_000, 8000))]

    assert sum(len(pcm) for pcm in sound) == pytest.approx(4 * 640, abs=80)
    assert all(pcm and len(pcm) % 2 == 0 for pcm in sound)


async def test_no_sound_is_no_pieces() -> None:
    assert [pcm async for pcm in pcm_at(16_000, pieces())] == []
