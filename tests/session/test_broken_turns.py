"""A written turn that breaks off has done what it has done: asked again, it isn't done again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest

from parley.core.errors import EngineFailed
from parley.engines.spec import Message
from parley.session.broken_turn import AT_WORK
from parley.session.round_memory import RoundMemory
from parley.testing.engines import FakeChatter
from parley.tools.spec import Tool, ToolCall
from tests.session.test_turn_runner import (
    AGENT,
    HELLO,
    Office,
    booking,
    books_once,
    text_of,
    turn,
)


class Forgetful:
    """Books, and breaks so many times before it can say so."""

    def __init__(self, breaks: int) -> None:
        self.breaks = breaks

    def __call__(self, heard: Sequence[Message]) -> Any:
        if self.breaks and any(each["role"] == "tool" for each in heard):
            self.breaks -= 1
            raise EngineFailed("The model has gone away.")
        return books_once(heard)


async def test_a_booking_whose_answer_broke_is_not_made_again_for_whoever_asks_again() -> None:
    done: list[Any] = []
    office = Office(FakeChatter(Forgetful(2)), [booking(done)])
    async with office.runner() as runner:
        for _ in range(2):
            with pytest.raises(EngineFailed):
                await turn(runner)
        answer = text_of(await turn(runner))
        again = text_of(await turn(runner, [*HELLO, said(answer), *HELLO]))
        assert (answer.strip(), again.strip(), len(done)) == ("It is booked.",) * 2 + (1,)

        anew = text_of(await turn(runner))

    assert (anew.strip(), len(done)) == ("One moment. It is booked.", 2)


async def test_whoever_stops_an_answer_and_goes_on_is_not_booked_for_again() -> None:
    done: list[Any] = []
    office = Office(FakeChatter(Forgetful(1)), [booking(done)])
    async with office.runner() as runner:
        with pytest.raises(EngineFailed):
            await turn(runner)

        answer = text_of(await turn(runner, [*HELLO, said("One moment."), *HELLO]))

    assert (answer.strip(), len(done)) == ("It is booked.", 1)


class Slow:
    """A booking that goes on until it is let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.times = 0

    async def book(self, _: ToolCall) -> dict[str, str]:
        self.times += 1
        self.begun.set()
        await self.may_end.wait()
        return {"status": "booked"}


@pytest.mark.parametrize("is_over", [True, False])
async def test_a_booking_that_its_client_left_is_known_to_the_next_attempt(is_over: bool) -> None:
    slow = Slow()
    heard: list[Message] = []

    def mind(messages: Sequence[Message]) -> Any:
        heard[:] = messages
        known = [each for each in messages if each["role"] == "tool"]
        return f"Known: {str(known[-1]['content']).strip('{}')}" if known else books_once(messages)

    office = Office(FakeChatter(mind), [Tool("book", "Books.", slow.book, interruptible=False)])
    async with office.runner() as runner:
        leaving = asyncio.create_task(turn(runner))
        await slow.begun.wait()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        if is_over:
            slow.may_end.set()
            await asyncio.gather(*runner.at_work)

        answer = text_of(await turn(runner))
        slow.may_end.set()

    assert slow.times == 1
    assert answer.strip() == "Known: " + ('"status": "booked"' if is_over else AT_WORK)
    assert [each["role"] for each in heard] == ["system", "user", "assistant", "tool"]


async def test_a_tool_that_was_broken_off_may_be_used_again() -> None:
    slow = Slow()
    office = Office(FakeChatter(books_again), [Tool("book", "Looks.", slow.book)])
    async with office.runner() as runner:
        async with aclosing(runner.run_turn(AGENT, HELLO)) as deltas:
            leaving = asyncio.ensure_future(drained(deltas))
            await slow.begun.wait()
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        slow.may_end.set()

        answer = text_of(await turn(runner))

    assert (answer.strip(), slow.times) == ("One moment. It is booked.", 2)


def test_what_broke_off_is_remembered_for_its_own_tenant_and_not_for_ever() -> None:
    now_s = 0.0
    memory = RoundMemory(clock=lambda: now_s)
    memory.keep_broken(("acme", "front"), HELLO, [said("done")])

    assert memory.broken(("bee", "front"), HELLO) == []
    assert memory.broken(("acme", "front"), HELLO) == [said("done")]
    now_s = 601.0
    assert memory.broken(("acme", "front"), HELLO) == []


def books_again(heard: Sequence[Message]) -> Any:
    known = [str(each["content"]) for each in heard if each["role"] == "tool"]
    return "It is booked." if known and "booked" in known[-1] else books_once([])


async def drained(deltas: Any) -> None:
    async for _ in deltas:
        continue


def said(text: str) -> Message:
    return {"role": "assistant", "content": text}
