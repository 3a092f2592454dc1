"""How sessions end: said by the agent, run out, drained, spent, or simply gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect

from parley.core.call import CallInfo
from parley.core.errors import QuotaExceeded
from parley.engines.spec import Delta, Message, ToolRequest
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter
from parley.tools.spec import Tool, ToolCall
from parley.transports.realtime import socket_media
from tests.session.fakes import agent_with
from tests.transports.realtime.house import (
    RealtimeHouse,
    never_answers,
    realtime_house,
)

FREED_WITHIN_S = 5.0
MIB = 1024 * 1024


async def freed(house: RealtimeHouse) -> None:
    """Wait until no call is left, and not for longer than is allowed."""
    async with asyncio.timeout(FREED_WITHIN_S):
        # The host tells nobody but the drain of it.
        while house.host.live_calls:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_an_agent_that_hangs_up_ends_the_session(listening: Listening):
    async def hang_up(call: ToolCall) -> Any:
        await call.actions.hang_up()
        return "done"

    def mind(messages: list[Message]) -> Any:
        return [Delta(text="Goodbye."), Delta(tools=(ToolRequest("call_1", "hang_up", {}),))]

    tools = [Tool("hang_up", "Ends the call.", hang_up, ends_turn=True)]
    async with (
        realtime_house(listening, llm=FakeChatter(mind), tools=tools) as house,
        house.client("agent:tester") as client,
    ):
        await client.write("Bye.")
        await client.send("response.create")
        code = await client.over()
        await freed(house)

    said = client.all("response.output_audio_transcript.done")
    assert (code, [e["transcript"] for e in said]) == (1000, ["Goodbye."])
    assert client.all("error") == []


async def test_a_session_lasts_as_long_as_the_agent_allows_and_says_so(listening: Listening):
    agent = agent_with(greeting="", turn_taking={"max_call_s": 0.5})
    async with (
        realtime_house(listening, agents=[agent]) as house,
        house.client() as client,
    ):
        error = await client.error()
        code = await client.over()
        await freed(house)

    assert (error["code"], code) == ("session_expired", 1000)


async def test_a_session_ends_when_it_said_it_would(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("parley.transports.realtime.session_config.LONGEST_SESSION_S", 1.5)
    agent = agent_with(greeting="", turn_taking={"max_call_s": 0})
    async with (
        realtime_house(listening, agents=[agent]) as house,
        house.client() as client,
    ):
        error = await client.error()
        await client.over()

    assert error["code"] == "session_expired"


async def test_a_drained_house_tells_its_clients_to_come_again(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.update()
        draining = asyncio.create_task(house.host.drain(0))
        error = await client.error()
        code = await client.over()
        await draining

    assert (error["code"], code) == ("server_draining", 1001)


async def test_a_response_under_way_is_ended_with_the_session(listening: Listening):
    async with realtime_house(listening, llm=never_answers()) as house, house.client() as client:
        await client.send("response.create", response={"conversation": "none"})
        await client.until("response.created")
        draining = asyncio.create_task(house.host.drain(0))
        await client.over()
        await draining

    done = [e["response"]["status"] for e in client.all("response.done")]
    assert done == ["cancelled"]


class Purse:
    """An admission whose money runs out when a test says so."""

    def __init__(self) -> None:
        self.spend: Callable[[], None] = lambda: None
        self.is_empty = False
        self.settled = 0

    async def reserve(self, call: CallInfo) -> Purse:
        if self.is_empty:
            raise QuotaExceeded("The minutes of this day are used up.")
        return self

    def when_spent(self, end: Callable[[], None]) -> None:
        self.spend = end

    def note(self, *, tokens: int = 0, characters: int = 0) -> None:
        return

    def settle(self) -> None:
        self.settled += 1


async def test_a_spent_quota_ends_the_session_and_says_so(listening: Listening):
    purse = Purse()
    async with (
        realtime_house(listening, admission=purse) as house,
        house.client() as client,
    ):
        await client.update()
        purse.spend()
        error = await client.error()
        code = await client.over()
        await freed(house)

    assert (error["code"], code) == ("insufficient_quota", 1008)
    assert purse.settled == 1


@pytest.mark.parametrize("how", ["closes", "vanishes"])
async def test_a_client_that_is_gone_leaves_nothing_behind(listening: Listening, how: str):
    llm = never_answers()
    before = asyncio.all_tasks()
    async with realtime_house(listening, llm=llm) as house:
        async with house.client() as client:
            await client.write("Hello.")
            await client.send("response.create")
            await client.send("response.create", response={"conversation": "none"})
            await client.until("response.created")
            if how == "vanishes":
                client.connection._connection.transport.abort()
        await freed(house)
        left = {task.get_name() for task in asyncio.all_tasks() - before}

    assert [name for name in left if name.startswith(("realtime:", "apart:", "call:"))] == []
    assert llm.open_iterators == 0


async def test_who_reads_nothing_is_dropped_and_holds_nobody_up(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(socket_media, "MOST_WAITING_BYTES", 4 * MIB)
    content = [{"type": "input_text", "text": "x" * 900_000}]
    item = {"type": "message", "role": "user", "content": content, "id": "large"}
    create = json.dumps({"type": "conversation.item.create", "item": item})
    message = json.dumps({"type": "conversation.item.retrieve", "item_id": "large"})
    options: dict[str, Any] = {"max_size": None, "compression": None, "max_queue": 1}
    async with (
        realtime_house(listening) as house,
        connect(f"{house.socket_url}?model=x", **options) as slow,
        house.client() as client,
    ):
        await slow.send(create)
        sending = asyncio.create_task(_send(slow, message))
        await client.write("Hello.")
        quick = await client.ask()
        async with asyncio.timeout(15):
            while house.host.live_calls > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        sending.cancel()
        await client.update()
        slow.transport.abort()

    assert quick["status"] == "completed"


async def _send(slow: Any, message: str) -> None:
    while True:
        await slow.send(message)


async def test_silence_ends_only_an_agents_session(listening: Listening):
    agent = agent_with(greeting="", turn_taking={"idle_s": 0.3})
    async with (
        realtime_house(listening, agents=[agent]) as house,
        house.client("agent:tester") as guest,
        house.client() as client,
    ):
        code = await guest.over()
        await client.update()

    assert code == 1000
