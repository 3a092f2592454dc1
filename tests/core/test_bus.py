"""The bus carries events in order and never makes a call wait."""

import asyncio

import pytest

from parley.core.bus import Bus
from parley.core.events import AgentText, Event, MediaStarted


async def test_every_listener_gets_every_event_in_order():
    first: list[Event] = []
    second: list[Event] = []
    events = [AgentText(call_id="c", text=str(number)) for number in range(20)]

    async with Bus() as bus:
        bus.subscribe("first", _into(first))
        bus.subscribe("second", _into(second))
        for event in events:
            bus.publish(event)

    assert first == events
    assert second == events


async def test_a_slow_listener_loses_its_oldest_events_and_they_are_counted():
    seen: list[Event] = []
    gate = asyncio.Event()

    async def slowly(event: Event) -> None:
        await gate.wait()
        seen.append(event)

    async with Bus() as bus:
        slow = bus.subscribe("slow", slowly, limit=3)
        for number in range(10):
            bus.publish(AgentText(call_id="c", text=str(number)))
        gate.set()

    assert slow.dropped == 7
    assert [event.text for event in seen if isinstance(event, AgentText)] == ["7", "8", "9"]


async def test_a_failing_listener_goes_on_and_disturbs_nobody():
    seen: list[Event] = []

    async def fail_once(event: Event) -> None:
        seen.append(event)
        if len(seen) == 1:
            raise RuntimeError("broken")

    async with Bus() as bus:
        bus.subscribe("failing", fail_once)
        bus.publish(MediaStarted(call_id="a"))
        bus.publish(MediaStarted(call_id="b"))

    assert [event.call_id for event in seen] == ["a", "b"]


async def test_leaving_the_bus_ends_its_tasks():
    before = asyncio.all_tasks()

    async with Bus() as bus:
        bus.subscribe("one", _into([]))
        bus.subscribe("two", _into([]))

    assert asyncio.all_tasks() == before


async def test_a_listener_that_was_sent_away_is_ended_with_the_bus():
    before = asyncio.all_tasks()
    entered, left = asyncio.Event(), asyncio.Event()

    async def dawdle(event: Event) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            left.set()

    async with Bus() as bus:
        dawdler = bus.subscribe("dawdler", dawdle)
        bus.publish(MediaStarted(call_id="a"))
        await entered.wait()
        bus.unsubscribe(dawdler)

    assert left.is_set()
    assert asyncio.all_tasks() == before


async def test_a_listener_whose_task_is_gone_does_not_keep_the_bus_open():
    seen: list[Event] = []
    gone = asyncio.Event()

    async def give_up(event: Event) -> None:
        seen.append(event)
        gone.set()
        raise asyncio.CancelledError

    async with asyncio.timeout(5), Bus() as bus:
        bus.subscribe("gone", give_up)
        bus.publish(MediaStarted(call_id="a"))
        await gone.wait()
        bus.publish(MediaStarted(call_id="b"))

    assert [event.call_id for event in seen] == ["a"]


async def test_a_bus_that_may_not_wait_ends_its_listeners_all_the_same():
    before = asyncio.all_tasks()
    entered = asyncio.Event()

    async def dawdle(event: Event) -> None:
        entered.set()
        await asyncio.Event().wait()

    bus = Bus()
    bus.subscribe("dawdler", dawdle)
    bus.publish(MediaStarted(call_id="a"))
    await entered.wait()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await bus.__aexit__()

    assert asyncio.all_tasks() == before


def _into(seen: list[Event]):
    async def keep(event: Event) -> None:
        seen.append(event)

    return keep
