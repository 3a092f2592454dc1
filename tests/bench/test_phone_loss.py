"""The bench of a bad network: what it counts as a hole, a wrong word, a lost packet."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from bench.phone_loss import gaps_ms, tone_through, word_error
from bench.relay import HOST, Relay

RATE_HZ = 8000


def tone(duration_ms: int) -> np.ndarray:
    at = np.arange(RATE_HZ * duration_ms // 1000)
    return (np.sin(at / 3) * 8000).astype(np.int16)


def test_a_hole_is_silence_that_lasts_and_its_length_is_told():
    hole = np.zeros(RATE_HZ * 40 // 1000, np.int16)
    blink = np.zeros(RATE_HZ * 5 // 1000, np.int16)

    whole = gaps_ms(tone(500), RATE_HZ)
    torn = gaps_ms(np.concatenate([tone(200), hole, tone(200), blink, tone(200)]), RATE_HZ)

    assert whole == []
    assert torn == pytest.approx([40], abs=5)


@pytest.mark.parametrize(
    ("said", "understood", "share"),
    [
        ("What time is it?", "what time is it", 0.0),
        ("what time is it", "what time it", 0.25),
        ("what time is it", "what a time is it", 0.25),
        ("what time is it", "", 1.0),
    ],
)
def test_words_that_are_wrong_missing_or_too_many_are_errors(
    said: str, understood: str, share: float
):
    assert word_error(said, understood) == share


async def test_a_relay_loses_its_share_and_passes_the_rest_both_ways():
    loop, got = asyncio.get_running_loop(), asyncio.Queue[tuple[bytes, int]]()

    async with Relay(0.25, 1.0) as relay:
        server, _ = await loop.create_datagram_endpoint(lambda: Post(got), (HOST, 0))
        caller, _ = await loop.create_datagram_endpoint(lambda: Post(got), (HOST, 0))
        relay.lead_to(server.get_extra_info("sockname"))
        async with asyncio.timeout(10):
            for _ in range(200):
                caller.sendto(b"there", (HOST, relay.near_port))
            there = await got.get()
            for _ in range(200):
                server.sendto(b"back", (HOST, relay.far_port))
            back = await got.get()
            while back[0] != b"back":
                back = await got.get()
        server.close()
        caller.close()

    assert there == (b"there", relay.far_port)
    assert back == (b"back", relay.near_port)
    assert relay.lost > 0


class Post(asyncio.DatagramProtocol):
    """Keeps what comes, with the port that it came from."""

    def __init__(self, got: asyncio.Queue[tuple[bytes, int]]) -> None:
        self._got = got

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._got.put_nowait((data, addr[1]))


async def test_a_tenth_of_the_packets_lost_and_the_rest_late_makes_no_stall_and_few_holes():
    found = await tone_through(0.1, 3.0)

    assert 0.04 < found.lost < 0.2
    assert found.share > 0.9
    assert found.gap_ms < 150
