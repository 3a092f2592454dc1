"""The bus carries events in order and never makes a call wait."""

import asyncio

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


def _into(seen: list[Event]):
    async def keep(event: Event) -> None:
        seen.append(event)

    return keep
