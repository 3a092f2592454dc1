"""n8n is killed in the middle of bookings, and no appointment is lost or made twice."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.n8n.days import next_day
from tests.n8n.installation import Installation
from tests.n8n.instance import Answer, N8n, running_n8n

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

BOOKINGS, KILLS = 100, 10
AT_ONCE = 2


@pytest_asyncio.fixture(loop_scope="session")
async def mortal(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[N8n]:
    async with running_n8n(installation, tmp_path_factory.mktemp("mortal")) as n8n:
        yield n8n


class Callers:
    """Each books a time of their own, and asks again with the same key until answered."""

    def __init__(self, n8n: N8n) -> None:
        self._n8n = n8n
        self._alive = asyncio.Event()
        self._alive.set()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self.answers: list[Answer] = []
        self.attempts = 0
        self.answered = asyncio.Condition()

    async def book(self, number: int, day: str, at: str) -> None:
        async with self._turn:
            while True:
                await self._alive.wait()
                self.attempts += 1
                try:
                    answer = await self._n8n.call(
                        "book_appointment", f"booking-{number}", name=f"C{number}", day=day, time=at
                    )
                except httpx.HTTPError:
                    continue
                if answer.status == 200 and answer.body:
                    break
        async with self.answered:
            self.answers.append(answer)
            self.answered.notify_all()

    async def kill_after(self, count: int) -> None:
        """Kill n8n a moment after so many were answered, and start it again."""
        async with self.answered:
            await self.answered.wait_for(lambda: len(self.answers) >= count)
        await asyncio.sleep(random.uniform(0.0, 0.6))
        self._alive.clear()
        await self._n8n.stop(signal.SIGKILL)
        await self._n8n.start()
        self._alive.set()


async def test_every_booking_is_there_once_although_n8n_was_killed_ten_times(
    mortal: N8n, record_property: pytest.RecordProperty
) -> None:
    times = [f"{9 + n // 2:02}:{n % 2 * 30:02}" for n in range(16)]
    days = [next_day() for _ in range(-(-BOOKINGS // len(times)))]
    places = [(day, at) for day in days for at in times][:BOOKINGS]
    callers = Callers(mortal)

    async with asyncio.TaskGroup() as group:
        for number, (day, at) in enumerate(places):
            group.create_task(callers.book(number, day, at))
        for kill in range(1, KILLS + 1):
            await callers.kill_after(kill * (BOOKINGS - 5) // KILLS)

    booked = [row for row in await mortal.rows() if row["state"] == "booked"]
    record_property("attempts", callers.attempts)
    assert (
        Counter((row["day"], row["slot"], row["name"]) for row in booked).most_common(1)[0][1] == 1
    )
    assert sorted(row["name"] for row in booked) == sorted(f"C{n}" for n in range(BOOKINGS))
    assert all(answer.body["ok"] for answer in callers.answers)
