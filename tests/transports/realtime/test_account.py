"""What a session uses counts for its key's minute, in order and to the last."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from parley.access.caller import Caller, MinuteLimits
from parley.access.rates import Standing
from parley.transports.realtime.account import Account

LIMITED = Caller(limits=MinuteLimits(audio_s=60))
DONE: dict[str, Any] = {"response": {"usage": {"total_tokens": 42}}}


class SlowBudget:
    """Takes its time, as Redis may."""

    def __init__(self) -> None:
        self.spent: list[tuple[float, int]] = []

    async def spend(self, caller: Caller, *, audio_s: float = 0, tokens: int = 0) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        self.spent.append((audio_s, tokens))

    async def standings(self, caller: Caller) -> Sequence[Standing]:
        return (Standing("requests", 9, 8, 30.0004),)


async def test_everything_is_counted_though_the_session_is_over():
    told: list[dict[str, Any]] = []
    budget = SlowBudget()
    account = Account(LIMITED, budget, told.append)

    account.heard(1500)
    account.answered(DONE)
    account.heard(250)
    await account.close()

    assert budget.spent == [(1.5, 0), (0, 42), (0.25, 0)]
    assert [event["type"] for event in told] == ["rate_limits.updated"]
    assert told[0]["rate_limits"] == [
        {"name": "requests", "limit": 9, "remaining": 8, "reset_seconds": 30.0}
    ]


async def test_nobody_is_asked_about_a_caller_without_limits():
    told: list[dict[str, Any]] = []
    budget = SlowBudget()
    account = Account(Caller(), budget, told.append)

    account.answered(DONE)
    await account.close()

    assert (budget.spent, told) == ([], [])
