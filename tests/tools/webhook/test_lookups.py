"""Names are looked up beside each other: one without an answer keeps no other from being found."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from parley.tools.webhook.lookups import Lookups

FOUND = [(2, 1, 6, "", ("192.0.2.1", 80))]


class NameServer:
    """Answers for all names but those that are dead, until it is closed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = threading.Event()

    def ask(self, host: str, port: int) -> Sequence[Any]:
        self.asked.append(host)
        if host.startswith("dead"):
            self.closed.wait(20)
            raise OSError("no answer")
        return FOUND


async def test_a_name_without_an_answer_takes_one_thread_however_often_it_is_asked_for():
    server = NameServer()
    lookups = Lookups(server.ask, threads=2)
    waiting = [asyncio.create_task(lookups.look_up("dead.test", 80)) for _ in range(5)]
    await asyncio.sleep(0)
    try:
        found = await asyncio.wait_for(lookups.look_up("rooms.test", 80), 5)

        assert found == ["192.0.2.1"]
        assert server.asked == ["dead.test", "rooms.test"]
    finally:
        server.closed.set()
        failed = await asyncio.gather(*waiting, return_exceptions=True)
        lookups.close()
    assert [type(each) for each in failed] == [OSError] * 5


async def test_whoever_gives_up_takes_the_name_from_nobody_else_and_it_is_asked_for_anew():
    server = NameServer()
    lookups = Lookups(server.ask, threads=1)
    hasty = asyncio.create_task(lookups.look_up("dead.test", 80))
    patient = asyncio.create_task(lookups.look_up("dead.test", 80))
    await asyncio.sleep(0)
    hasty.cancel()
    server.closed.set()

    with pytest.raises(OSError):
        await patient

    assert hasty.cancelled()
    assert await lookups.look_up("rooms.test", 80) == ["192.0.2.1"]
    assert await lookups.look_up("rooms.test", 80) == ["192.0.2.1"]
    assert server.asked == ["dead.test", "rooms.test", "rooms.test"]
    lookups.close()
