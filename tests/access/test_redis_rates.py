"""Rates in a real Redis: several servers share them, and none waits for one that is away."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from parley.access.caller import Caller, MinuteLimits
from parley.access.counters import open_counters
from parley.access.rates import AWAY_S, Rates
from tests.access.redis_server import RedisServer, redis_server

ANN = Caller(key_id="ann", limits=MinuteLimits(requests=6, tokens=1000))
BEN = Caller(key_id="ben", limits=MinuteLimits(requests=6))
ANOTHER_SERVER = """
import asyncio, sys
from parley.access.caller import Caller, MinuteLimits
from parley.access.rates import open_rates

async def main():
    rates = await open_rates(sys.argv[1], offers=0)
    ann = Caller(key_id="ann", limits=MinuteLimits(requests=6, tokens=1000))
    verdicts = [await rates.enter(ann) for _ in range(5)]
    await rates.spend(ann, tokens=400)
    await rates.close()
    print(sum(verdict.refusal is None for verdict in verdicts))

asyncio.run(main())
"""


@pytest.fixture
def redis(tmp_path: Path) -> Generator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def rates_in(server: RedisServer, clock: Clock | None = None) -> AsyncIterator[Rates]:
    rates = Rates(await open_counters(server.url), offers=0, clock=clock or Clock())
    try:
        yield rates
    finally:
        await rates.close()


async def passes(rates: Rates, caller: Caller, times: int) -> int:
    """How many of so many requests are let in."""
    verdicts = [await rates.enter(caller) for _ in range(times)]
    return sum(verdict.refusal is None for verdict in verdicts)


async def test_servers_share_the_limits_and_let_in_no_more_together_than_one(
    redis: RedisServer,
) -> None:
    others = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", ANOTHER_SERVER, redis.url, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    let_in = [int((await other.communicate())[0]) for other in others]

    async with rates_in(redis) as rates:
        verdict = await rates.enter(ANN)
        for_ben = await passes(rates, BEN, 7)

    assert sum(let_in) == 6
    assert verdict.refusal is not None
    assert for_ben == 6


async def test_what_one_server_spent_another_counts(redis: RedisServer) -> None:
    async with rates_in(redis) as one, rates_in(redis) as other:
        await one.spend(ANN, tokens=400)
        standings = (await other.enter(ANN)).standings

    assert {each.counted: each.remaining for each in standings} == {"requests": 5, "tokens": 600}


async def test_while_redis_is_away_all_pass_and_when_it_is_back_it_counts_again(
    redis: RedisServer, tmp_path: Path
) -> None:
    clock = Clock()
    async with rates_in(redis, clock) as rates:
        before = await passes(rates, ANN, 2)
        redis.stop()
        away = await passes(rates, ANN, 20)
        clock.now_s += AWAY_S
        with redis_server(tmp_path, port=int(redis.url.split(":")[2].split("/")[0])):
            back = await passes(rates, ANN, 20)

    assert (before, away, back) == (2, 20, 6)


async def test_a_redis_that_hangs_holds_the_first_request_up_and_no_other(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("parley.access.counters.ANSWERS_WITHIN_S", 0.05)
    async with rates_in(redis, clock) as rates:
        redis.hang()
        first = await rates.enter(ANN)
        redis.go_on()
        unasked = await passes(rates, ANN, 20)
        clock.now_s += AWAY_S
        counted = await rates.enter(ANN)

    assert (first.refusal, first.standings, unasked) == (None, (), 20)
    assert [each.counted for each in counted.standings] == ["requests", "tokens"]
