"""Several servers of one engine: the least busy healthy one serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest

from parley.core.breaker import Breaker
from parley.core.errors import EngineTimeout, EngineUnavailable
from parley.engines.fallback.chain import Chain, Link
from parley.engines.fallback.limits import StageLimits
from parley.engines.fallback.thinking import FallbackChat
from parley.engines.remote.instances import Instances
from parley.engines.spec import ChatOptions, Delta, Status
from tests.engines.fallback.chains import QUICK, Clock, Told, member

BRIEF = StageLimits(first_s=0.02, gap_s=0.02, patience_s=0.05)
URLS = ("http://a", "http://b", "http://c")


class Server:
    """One server as its client sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_dead = False
        self.hangs = False
        self.is_closed = False
        self.asked = 0

    async def answer(self) -> str:
        self.asked += 1
        if self.is_dead:
            raise EngineUnavailable(f"{self.url} can't be reached.")
        if self.hangs:
            await asyncio.Event().wait()
        return self.url

    async def close(self) -> None:
        self.is_closed = True


def three(clock: Clock | None = None) -> Instances[Server]:
    instances = Instances(URLS, Server, Server.close)
    for each in instances.all:
        each.breaker = Breaker(failures_to_open=1, clock=clock or Clock(), chance=lambda: 0.0)
    return instances


async def ask(instances: Instances[Server], guest: str = "") -> str:
    async with instances.lease(guest) as instance:
        return await instance.client.answer()


async def ask_anyhow(instances: Instances[Server]) -> str:
    try:
        return await ask(instances)
    except EngineUnavailable:
        return "failed"


async def test_requests_at_the_same_time_are_shared_out():
    instances = three()
    async with AsyncExitStack() as stack:
        leased = [await stack.enter_async_context(instances.lease()) for _ in range(6)]
        assert sorted(each.url for each in leased) == [url for url in URLS for _ in range(2)]

        leased[0].busy -= 2
        least_busy = await ask(instances)
        leased[0].busy += 2

    assert least_busy == leased[0].url
    assert [each.busy for each in instances.all] == [0, 0, 0]


async def test_one_that_dies_is_left_alone_and_taken_back_by_a_probe():
    clock = Clock()
    instances = three(clock)
    dying = instances.all[1].client
    dying.is_dead = True

    during = [await ask_anyhow(instances) for _ in range(30)]
    clock.now_s = 100.0
    dying.is_dead = False
    after = [await ask_anyhow(instances) for _ in range(9)]

    assert during.count("failed") == 1
    assert set(during) == {"failed", "http://a", "http://c"}
    assert after[0] == dying.url
    assert after.count(dying.url) == 3


async def test_only_one_request_at_a_time_probes_a_server_that_may_be_dead():
    clock = Clock()
    instances = three(clock)
    sick = instances.all[0]
    sick.breaker.failed("It died.")
    clock.now_s = 100.0
    sick.breaker.started()

    served = [await ask(instances) for _ in range(6)]

    assert sick.url not in served


async def test_when_all_are_out_the_error_says_when_to_come_back():
    instances = three()
    for each in instances.all:
        each.breaker.failed("It died.")

    with pytest.raises(EngineUnavailable, match="It died") as caught:
        await ask(instances)

    assert caught.value.retry_after_s == 2


async def test_a_conversation_returns_to_its_server_until_that_fails():
    instances = three()
    home = await ask(instances, "call_1")
    for _ in range(2):
        await ask(instances)

    again = await ask(instances, "call_1")
    next(each for each in instances.all if each.url == home).breaker.failed("It died.")
    elsewhere = await ask(instances, "call_1")

    assert again == home
    assert elsewhere != home


async def test_a_request_that_is_given_up_blames_nobody():
    instances = three()
    entered = asyncio.Event()

    async def wait_forever() -> None:
        async with instances.lease():
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait_forever())
    await entered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert all(each.breaker.failures == 0 and each.busy == 0 for each in instances.all)


async def test_a_server_that_lacks_the_model_serves_only_where_all_lack_it():
    instances = three()
    instances.all[0].lacks_model = instances.all[1].lacks_model = True
    while_one_has_it = {await ask(instances) for _ in range(6)}
    instances.all[2].lacks_model = True

    while_none_has_it = {await ask(instances) for _ in range(6)}

    assert while_one_has_it == {"http://c"}
    assert while_none_has_it == set(URLS)


async def test_closing_closes_every_client():
    instances = three()

    await instances.close()

    assert all(each.client.is_closed for each in instances.all)


class Served:
    """A model on three servers."""

    def __init__(self, instances: Instances[Server]) -> None:
        self.instances = instances

    async def warm_up(self) -> None: ...

    async def check(self) -> Status:
        return Status(True)

    async def chat(self, messages, tools, options) -> AsyncGenerator[Delta]:
        yield Delta(text=await ask(self.instances, options.conversation))

    def grammar(self) -> str:
        return ""

    async def close(self) -> None: ...


async def test_a_request_to_a_dying_server_is_answered_by_another_in_the_same_turn():
    instances, told = three(), Told()
    model = member("llm", "model", Served(instances))
    chat = FallbackChat(Chain("llm", [Link(model)], QUICK)).for_call(told)
    instances.all[0].client.is_dead = True

    answers = [
        [delta.text async for delta in chat.chat([], [], ChatOptions(conversation=f"call_{n}"))]
        for n in range(6)
    ]

    assert all(answer in (["http://b"], ["http://c"]) for answer in answers)
    assert model.is_well
    assert told.all == []


async def test_one_that_hangs_until_patience_runs_out_is_left_alone():
    instances = three()
    instances.all[0].client.hangs = True
    model = member("llm", "model", Served(instances))
    chat = FallbackChat(Chain("llm", [Link(model)], BRIEF))

    answers = [await answer_of(chat) for _ in range(9)]

    assert answers.count("failed") == 1
    assert instances.all[0].client.asked == 1
    assert {each.url for each in instances.all if not each.breaker.is_closed} == {"http://a"}


async def answer_of(chat: FallbackChat) -> str:
    try:
        return "".join([delta.text async for delta in chat.chat([], [], ChatOptions())])
    except EngineTimeout:
        return "failed"
