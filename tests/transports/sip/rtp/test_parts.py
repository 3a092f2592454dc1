"""Ports, the wheel, the latch and the keys of a call's secrecy, each by itself."""

from __future__ import annotations

import asyncio
import secrets
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.core.errors import BadSettings, CallLimitReached
from parley.transports.sip.rtp.latch import SETTLING_S, SILENCE_S, Latch
from parley.transports.sip.rtp.ports import PortRange
from parley.transports.sip.rtp.secrecy import NotGenuine, Opener, Seal
from parley.transports.sip.sdp import Crypto
from parley.transports.wheel import SLOT_MS, Wheel
from tests.transports.sip.rtp.far_end import LOOPBACK

SDP, NAT, STRANGER = ("192.0.2.1", 4000), ("198.51.100.1", 61_000), ("203.0.113.1", 9)


# ── the latch ────────────────────────────────────────────────────────────────────────────


def latch() -> Latch:
    latch = Latch()
    latch.name(SDP, 0.0)
    return latch


def test_before_anything_came_the_sdp_says_where_to_send():
    assert latch().target == SDP


def test_the_first_source_is_where_the_caller_is():
    found = latch()

    found.hear(NAT, 0.1, 1)

    assert found.target == NAT
    assert not found.admits(STRANGER, 0.2)
    assert not found.admits((NAT[0], 9), 0.2)


def test_a_stranger_who_is_quicker_gives_way_to_the_address_in_the_sdp():
    found = latch()
    found.hear(STRANGER, 0.1, 1)

    was_admitted = found.admits(SDP, 0.2)
    found.hear(SDP, 0.2, 1)

    assert was_admitted
    assert not found.admits(STRANGER, 0.3)


def test_after_a_while_not_even_the_sdp_moves_a_stream_that_flows():
    found = latch()
    for tenth in range(100):
        found.hear(NAT, tenth / 10, 1)

    assert not found.admits(SDP, 9.95)
    assert SETTLING_S < 9.95


def test_a_silent_source_may_come_back_from_elsewhere():
    found = latch()
    found.hear(NAT, 1.0, 1)

    assert not found.admits((NAT[0], 7), 0.9 + SILENCE_S)
    assert found.admits((NAT[0], 7), 1.0 + SILENCE_S)


def test_another_address_in_the_sdp_opens_it_and_the_same_one_does_not():
    found = latch()
    found.hear(NAT, 1.0, 1)

    found.name(SDP, 2.0)
    is_kept = found.target == NAT and not found.admits(STRANGER, 2.0)
    found.name(STRANGER, 3.0)

    assert is_kept
    assert found.target == STRANGER


# ── ports ────────────────────────────────────────────────────────────────────────────────


def free_range(pairs: int) -> tuple[int, int]:
    """Ports that nobody has at the moment."""
    for first in range(15_000, 20_000, 2 * pairs):
        found = PortRange(LOOPBACK, first, first + 2 * pairs - 1, rest_s=0)
        taken = []
        try:
            taken = [found.take() for _ in range(pairs)]
        except CallLimitReached:
            continue
        finally:
            for pair in taken:
                pair.close()
        return first, first + 2 * pairs - 1
    pytest.skip("no free ports")


async def test_pairs_are_even_and_odd_and_come_to_an_end():
    first, last = free_range(2)
    ports = PortRange(LOOPBACK, first, last)

    taken = [ports.take(), ports.take()]

    assert sorted(pair.port for pair in taken) == [first, first + 2]
    for pair in taken:
        assert pair.rtp.getsockname()[1] == pair.port
        assert pair.rtcp.getsockname()[1] == pair.port + 1
    with pytest.raises(CallLimitReached):
        ports.take()
    for pair in taken:
        pair.close()


async def test_a_port_rests_before_it_is_used_again():
    first, last = free_range(1)
    resting = PortRange(LOOPBACK, first, last, rest_s=3600)
    restless = PortRange(LOOPBACK, first, last, rest_s=0)

    restless.release(restless.take())
    again = restless.take()
    restless.release(again)
    resting.release(resting.take())

    assert again.port == first
    with pytest.raises(CallLimitReached):
        resting.take()


async def test_a_port_that_somebody_else_has_is_passed_over():
    first, last = free_range(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOOPBACK, first + 1))
        pair = PortRange(LOOPBACK, first, last).take()

    assert pair.port == first + 2
    pair.close()


@pytest.mark.parametrize("first, last", [(0, 0), (4001, 4002), (5000, 4000), (65_534, 70_000)])
def test_a_range_without_a_pair_is_refused(first, last):
    with pytest.raises(BadSettings):
        PortRange(LOOPBACK, first, last)


# ── the wheel ────────────────────────────────────────────────────────────────────────────


class Rider:
    def __init__(self, turns: int) -> None:
        self.slots: list[int] = []
        self.done = asyncio.get_running_loop().create_future()
        self._turns = turns

    def turn(self, slot: int) -> None:
        self.slots.append(slot)
        if len(self.slots) == self._turns:
            self.done.set_result(None)


@pytest.mark.parametrize("period_ms", [10, 20, 30, 40, 60])
async def test_everybody_has_a_turn_in_their_rhythm(wheel: Wheel, period_ms):
    rider = Rider(8)
    wheel.join(rider, period_ms)

    await rider.done
    wheel.leave(rider)

    stalled = wheel.skipped_slots > 0
    gaps = {b - a for a, b in zip(rider.slots, rider.slots[1:], strict=False)}
    assert stalled or gaps == {period_ms // SLOT_MS}


async def test_riders_are_spread_over_the_time_there_is(wheel: Wheel):
    riders = [Rider(3) for _ in range(40)]
    for rider in riders:
        wheel.join(rider, 20)

    await asyncio.gather(*(rider.done for rider in riders))
    for rider in riders:
        wheel.leave(rider)

    phases = [rider.slots[0] % 4 for rider in riders]
    assert {phases.count(phase) for phase in range(4)} == {10}


async def test_one_that_breaks_leaves_the_wheel_and_the_others_ride_on(wheel: Wheel):
    class Broken:
        def turn(self, slot: int) -> None:
            raise RuntimeError("broken")

    rider = Rider(5)
    wheel.join(Broken(), 20)
    wheel.join(rider, 20)

    await rider.done

    assert len(wheel) == 1
    wheel.leave(rider)


async def test_who_leaves_in_its_turn_has_no_other(wheel: Wheel):
    class Once(Rider):
        def turn(self, slot: int) -> None:
            super().turn(slot)
            wheel.leave(self)

    once, other = Once(2), Rider(4)
    wheel.join(once, 10)
    wheel.join(other, 10)

    await other.done
    wheel.leave(other)

    assert len(once.slots) == 1


async def test_an_unknown_rhythm_is_refused(wheel: Wheel):
    for period_ms in (0, 7, 25, 50):
        with pytest.raises(ValueError):
            wheel.join(Rider(1), period_ms)


# ── secrecy ──────────────────────────────────────────────────────────────────────────────

RTP = bytes.fromhex("80000001000000000000002a") + bytes(160)
SUITES = ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_sealed_is_opened_once_and_only_with_the_key(suite):
    crypto = Crypto(1, suite, secrets.token_bytes(30))
    sealed = Seal(crypto).close_rtp(RTP)
    opener = Opener(crypto)

    opened = opener.open_rtp(sealed)

    assert opened == RTP
    assert RTP[12:] not in sealed
    for other in (opener, Opener(Crypto(1, suite, secrets.token_bytes(30)))):
        with pytest.raises(NotGenuine):
            other.open_rtp(sealed)


@given(st.binary(max_size=2000))
@settings(max_examples=150, deadline=None)
def test_what_was_not_sealed_is_not_genuine(data):
    opener = Opener(Crypto(1, SUITES[0], bytes(30)))

    for open_it in (opener.open_rtp, opener.open_rtcp):
        with pytest.raises(NotGenuine):
            open_it(data)


def test_a_key_can_be_written_and_read():
    crypto = Crypto(7, SUITES[0], secrets.token_bytes(30))

    assert Crypto.read(str(crypto)) == crypto
    assert Crypto.read(f"{crypto}|2^20") == crypto
    assert Crypto.read(f"{crypto}|2^20|1:4") is None
    assert Crypto.read(f"{crypto} UNENCRYPTED_SRTP") is None
