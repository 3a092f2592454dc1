"""Rates: what counts in a minute, and how it is told."""

from __future__ import annotations

import re
import sys

import pytest

from parley.access.caller import Caller, MinuteLimits
from parley.access.rates import Rates, Verdict, duration, open_rates
from parley.core.errors import BadSettings
from parley.core.extras import install_hint


@pytest.fixture
async def rates() -> Rates:
    return await open_rates("", offers=0)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0ms"),
        (0.0115, "12ms"),
        (1, "1s"),
        (59.2, "1m0s"),
        (360, "6m0s"),
        (3723, "1h2m3s"),
    ],
)
def test_durations_are_told_as_openai_tells_them(seconds: float, told: str) -> None:
    assert duration(seconds) == told


async def test_no_limit_no_headers_and_nothing_refused(rates: Rates) -> None:
    verdicts = [await rates.enter(Caller(key_id="key_1")) for _ in range(100)]

    assert verdicts == [Verdict(())] * 100


@pytest.mark.parametrize(
    ("limits", "spent"),
    [
        (MinuteLimits(audio_s=10), {"audio_s": 9.5}),
        (MinuteLimits(tokens=10), {"tokens": 25}),
    ],
)
async def test_what_was_spent_counts_against_the_next_request(
    rates: Rates, limits: MinuteLimits, spent: dict[str, float]
) -> None:
    caller = Caller(key_id="key_1", limits=limits)
    await rates.enter(caller)

    await rates.spend(caller, **spent)  # type: ignore[arg-type]

    verdict = await rates.enter(caller)
    assert verdict.standings[0].remaining == 0
    assert verdict.refusal is not None and "Too many" in verdict.refusal.message
    assert 1 <= verdict.refusal.retry_after_s <= 60


async def test_a_client_secret_uses_up_the_limits_of_its_key(rates: Rates) -> None:
    limits = MinuteLimits(requests=1)
    await rates.enter(Caller(key_id="key_1", limits=limits))

    verdict = await rates.enter(Caller(key_id="key_1", session={}, limits=limits))
    assert verdict.refusal is not None


async def test_counters_that_are_away_close_no_door() -> None:
    rates = await open_rates("redis://127.0.0.1:9/0", offers=1)
    caller = Caller(key_id="key_1", limits=MinuteLimits(requests=1, tokens=1))

    verdicts = [await rates.enter(caller) for _ in range(3)]
    await rates.spend(caller, tokens=5)

    assert verdicts == [Verdict(())] * 3


async def test_a_missing_redis_client_is_told_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(BadSettings, match=re.escape(install_hint("redis"))):
        await open_rates("redis://127.0.0.1:9/0", offers=1)
