"""Webhooks are told of their tenant's calls, and what goes wrong with one stays with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from parley.api import event_courier
from parley.api.event_courier import Courier
from parley.core.bus import Bus
from parley.core.call import CallInfo
from parley.core.errors import StoreFailed
from parley.core.events import (
    CallEnded,
    CallStarted,
    Event,
    ToolEnded,
    TurnEnded,
    UserTranscript,
)
from parley.store.records import WebhookRecord
from tests.api.receivers import mailbox, poster

SECRET = "whsec_1"
CALL = CallInfo(agent="front", transport="sip", tenant="acme", id="call_1", caller="sip:ada@x")
STARTED = CallStarted(call_id="call_1", call=CALL)
ENDED = CallEnded(call_id="call_1", reason="caller", duration_s=9.0)
TURN = TurnEnded(call_id="call_1", stages={"reply_ms": 500.0}, interrupted=False, heard="Yes.")
TOOL = ToolEnded(call_id="call_1", tool="book", tool_call_id="1", after_ms=12.0)


class Shelf:
    """Webhooks in a list; it is away while ``is_away``."""

    def __init__(self, *hooks: WebhookRecord) -> None:
        self.hooks = list(hooks)
        self.is_away = False

    async def all(self, tenant: str = "") -> Sequence[WebhookRecord]:
        if self.is_away:
            raise StoreFailed("It is away.")
        return list(self.hooks)


def hook(
    url: str,
    number: int = 1,
    tenant: str = "acme",
    events: tuple[str, ...] = ("call_started", "turn_ended", "tool_ended", "call_ended"),
) -> WebhookRecord:
    return WebhookRecord(f"hook_{number}", tenant, url, events, SECRET, datetime.now(UTC))


@asynccontextmanager
async def telling(
    shelf: Shelf, *events: Event, pauses_s: Sequence[float] = (0.0, 0.0), most_waiting: int = 100
) -> AsyncIterator[Courier]:
    async with (
        poster() as mail,
        Courier(shelf, mail.post, pauses_s=pauses_s, most_waiting=most_waiting) as courier,
    ):
        async with Bus() as bus:
            bus.subscribe("webhooks", courier.listen)
            for event in events:
                bus.publish(event)
        yield courier


async def test_events_come_signed_in_order_and_with_what_they_are_about() -> None:
    async with mailbox() as box, telling(Shelf(hook(box.url)), STARTED, TURN, TOOL, ENDED):
        await box.received(4)

    box.check(SECRET)
    started, turn, _, ended = box.letters
    assert [each["event"] for each in box.letters] == [
        "call_started",
        "turn_ended",
        "tool_ended",
        "call_ended",
    ]
    assert {(each["version"], each["tenant"], each["agent"]) for each in box.letters} == {
        (1, "acme", "front")
    }
    assert len({each["id"] for each in box.letters}) == 4
    assert datetime.fromisoformat(started["at"]).tzinfo is not None
    assert started["data"]["caller"] == "sip:ada@x"
    assert turn["data"] == {"stages": {"reply_ms": 500.0}, "interrupted": False, "heard": "Yes."}
    assert ended["data"] == {"reason": "caller", "duration_s": 9.0}


async def test_a_webhook_gets_its_own_tenants_calls_and_what_it_asked_for() -> None:
    half = UserTranscript(call_id="call_1", text="I wo", final=False)
    whole = UserTranscript(call_id="call_1", text="I would.", final=True)
    async with mailbox() as theirs, mailbox() as others:
        shelf = Shelf(
            hook(theirs.url, events=("user_transcript", "call_ended")),
            hook(others.url, 2, tenant="other"),
        )
        async with telling(shelf, STARTED, half, whole, TURN, ENDED):
            await theirs.received(2)

    assert [each["event"] for each in theirs.letters] == ["user_transcript", "call_ended"]
    assert theirs.letters[0]["data"]["text"] == "I would."
    assert others.letters == []


async def test_what_fails_is_tried_again_with_the_same_words() -> None:
    async with mailbox(lambda number: 500 if number < 3 else 200) as box:
        shelf = Shelf(hook(box.url))
        async with telling(shelf, STARTED, ENDED) as courier:
            await box.received(4)
        standing = courier.standing(shelf.hooks[0])

    assert [each["event"] for each in box.letters] == ["call_started"] * 3 + ["call_ended"]
    assert len({body for _, body in box.requests[:3]}) == 1
    assert standing == {"delivered": 2, "dropped": 0, "waiting": 0}


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (429, 3), (404, 1), (302, 1)])
async def test_what_fails_for_good_is_dropped_and_counted(status: int, tries: int) -> None:
    async with mailbox(lambda number: status if number <= tries else 200) as box:
        shelf = Shelf(hook(box.url))
        async with telling(shelf, STARTED, ENDED) as courier:
            await box.received(tries + 1)
        standing = courier.standing(shelf.hooks[0])

    assert [each["event"] for each in box.letters[tries:]] == ["call_ended"]
    assert standing == {"delivered": 1, "dropped": 1, "waiting": 0}


async def test_one_that_hangs_holds_up_no_other_and_no_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_courier, "CLOSING_S", 0.01)
    async with mailbox(is_slow=True) as slow, mailbox() as quick:
        shelf = Shelf(hook(slow.url), hook(quick.url, 2))
        async with telling(shelf, STARTED, TURN, TOOL, ENDED) as courier:
            await quick.received(4)
            await slow.received(1)
            meanwhile = courier.standing(shelf.hooks[0])
        afterwards = courier.standing(shelf.hooks[0])

    assert meanwhile["waiting"] == 4
    assert afterwards == {"delivered": 0, "dropped": 4, "waiting": 0}


async def test_of_too_many_that_wait_the_oldest_are_dropped() -> None:
    async with mailbox(is_slow=True) as slow:
        shelf = Shelf(hook(slow.url))
        async with telling(shelf, STARTED, TURN, TOOL, ENDED, most_waiting=2) as courier:
            waiting = courier.standing(shelf.hooks[0])
            slow.may_answer.set()

    assert (waiting["waiting"], waiting["dropped"]) == (2, 2)
    assert [each["event"] for each in slow.letters][-2:] == ["tool_ended", "call_ended"]


async def test_what_waits_at_the_end_is_delivered_before_it() -> None:
    async with mailbox() as box:
        async with telling(Shelf(hook(box.url)), STARTED, TURN, TOOL, ENDED):
            pass

        assert len(box.letters) == 4


async def test_a_webhook_that_was_removed_gets_nothing_more() -> None:
    async with mailbox(is_slow=True) as box:
        shelf = Shelf(hook(box.url))
        async with telling(shelf, STARTED, TURN) as courier:
            await box.received(1)
            shelf.hooks.clear()
            await courier.look()
            await courier.listen(ENDED)

    assert len(box.letters) == 1


async def test_while_the_database_is_away_those_known_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_courier, "FRESH_S", 0.0)
    async with mailbox() as box:
        shelf = Shelf(hook(box.url))
        async with telling(shelf, STARTED) as courier:
            shelf.is_away = True
            await courier.listen(ENDED)
            await asyncio.wait_for(box.received(2), 5)

    assert [each["event"] for each in box.letters] == ["call_started", "call_ended"]


async def test_an_address_that_may_not_be_reached_is_asked_nothing() -> None:
    async with mailbox() as box, poster("example.org") as mail:
        shelf = Shelf(hook(box.url))
        async with Courier(shelf, mail.post, pauses_s=(60.0,)) as courier:
            await courier.listen(STARTED)
        standing = courier.standing(shelf.hooks[0])

    assert box.letters == []
    assert standing == {"delivered": 0, "dropped": 1, "waiting": 0}


async def test_nobody_at_the_address_is_tried_again() -> None:
    async with mailbox() as box:
        url = box.url
    async with poster() as mail:
        shelf = Shelf(hook(url))
        async with Courier(shelf, mail.post, pauses_s=(0.0, 0.0)) as courier:
            await courier.listen(STARTED)
        standing = courier.standing(shelf.hooks[0])

    assert standing == {"delivered": 0, "dropped": 1, "waiting": 0}


async def test_an_address_that_breaks_the_client_costs_one_event_at_a_time() -> None:
    async def break_down(url: str, body: bytes, headers: object) -> int:
        raise UnicodeError("label too long")

    shelf = Shelf(hook("http://a..b/"))
    async with Courier(shelf, break_down, pauses_s=(60.0,)) as courier:
        await courier.listen(STARTED)
        await courier.listen(ENDED)
    standing = courier.standing(shelf.hooks[0])

    assert standing == {"delivered": 0, "dropped": 2, "waiting": 0}
