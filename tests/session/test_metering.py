"""What a call has of its engines is told while it goes on, and ends it when too much."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from parley.access.opening import open_access
from parley.core.call import CallInfo
from parley.core.errors import EngineFailed
from parley.engines.spec import (
    ChatOptions,
    Delta,
    SpeechOptions,
    ToolRequest,
    TranscribeOptions,
    Usage,
    performed_tags,
)
from parley.session.metering import MeteredChat, MeteredSpeech, metered
from parley.session.pipeline import CallEngines
from parley.settings import Settings
from parley.store.opening import Store, open_store
from parley.testing.engines import FakeChatter, FakeTranscriber, broken
from parley.testing.speech import FakeSynthesizer
from parley.testing.transport import FakeTransport
from tests.session.fakes import FakeHouse, LiveCall

ASKED = [{"role": "user", "content": "When do you open?"}]


class Bill:
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.tokens = 0
        self.characters = 0

    def note(self, *, tokens: int = 0, characters: int = 0) -> None:
        self.tokens += tokens
        self.characters += characters


async def test_tokens_are_those_that_the_engine_counts() -> None:
    bill = Bill()
    counted = [Delta("At nine. "), Delta(usage=Usage(30, 12))]
    chat = MeteredChat(FakeChatter(lambda _: counted), bill.note)

    deltas = [delta async for delta in chat.chat(ASKED, (), ChatOptions())]

    assert deltas == counted
    assert bill.tokens == 42


async def test_what_the_engine_does_not_count_is_estimated() -> None:
    said, asked_for = Bill(), Bill()
    request = ToolRequest("1", "book", {"name": "a name that is quite long " * 20})
    talks = MeteredChat(FakeChatter(lambda _: "word " * 100), said.note)
    books = MeteredChat(FakeChatter(lambda _: Delta(tools=(request,))), asked_for.note)

    for chat in (talks, books):
        async with aclosing(chat.chat(ASKED, (), ChatOptions())) as deltas:
            async for _ in deltas:
                pass

    assert 100 < said.tokens < 300
    assert 100 < asked_for.tokens < 300


async def test_a_reply_that_was_cut_off_costs_what_came_of_it_and_stops_the_engine() -> None:
    bill, engine = Bill(), FakeChatter(lambda _: "word " * 1000)
    chat = MeteredChat(engine, bill.note)

    async with aclosing(chat.chat(ASKED, (), ChatOptions())) as deltas:
        await anext(deltas)

    assert 0 < bill.tokens < 30
    assert engine.open_iterators == 0


async def test_what_failed_before_it_gave_anything_costs_nothing() -> None:
    bill = Bill()
    chat = MeteredChat(FakeChatter(lambda _: broken("llm")), bill.note)
    speech = MeteredSpeech(FakeSynthesizer(fails_on="Hello"), bill.note)

    for results in (chat.chat(ASKED, (), ChatOptions()), speech.synthesize("Hello", _PLAIN)):
        with pytest.raises(EngineFailed):
            await anext(results)

    assert (bill.tokens, bill.characters) == (0, 0)


_PLAIN = SpeechOptions()


async def test_characters_are_those_that_were_spoken() -> None:
    bill, engine = Bill(), FakeSynthesizer()
    speech = MeteredSpeech(engine, bill.note)

    async with aclosing(speech.synthesize("Hello there, caller.", _PLAIN)) as sounds:
        await anext(sounds)

    assert bill.characters == len("Hello there, caller.")
    assert engine.open_iterators == 0


class Actor(FakeSynthesizer):
    """A voice that laughs when it is told to."""

    tags = frozenset({"laugh"})


@pytest.mark.parametrize(("voice", "tags"), [(FakeSynthesizer, set()), (Actor, {"laugh", "break"})])
def test_a_voice_performs_the_tags_that_it_performed_before(
    voice: type[FakeSynthesizer], tags: set[str]
) -> None:
    engines = CallEngines(
        FakeTranscriber(),
        FakeChatter(lambda _: ""),
        voice(),
        TranscribeOptions(),
        ChatOptions(),
        _PLAIN,
    )

    assert performed_tags(metered(engines, Bill().note).tts) == tags


@asynccontextmanager
async def paying_house(house: FakeHouse, settings: Settings) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        access = await stack.enter_async_context(open_access(settings, store))
        house.admission = access.ledger
        yield store


@pytest.mark.parametrize("measure", ["tokens", "characters"])
async def test_a_call_ends_when_its_tenant_has_none_left(
    house: FakeHouse, tmp_path: Path, measure: str
) -> None:
    settings = Settings(data_dir=tmp_path, database_url="sqlite://")
    settings = settings.model_copy(update={f"quota_{measure}_day": 100})
    house.llm = FakeChatter(lambda _: [Delta("Yes. " * 30), Delta(usage=Usage(80, 40))])
    async with paying_house(house, settings) as store, house.host() as host:
        transport = FakeTransport()
        place = host.admit(CallInfo(agent="", transport="fake"))
        await place.reserve()
        call = LiveCall(transport, host.start(place, transport))
        await call.until("turn_ended")

        await call.control.ask("Tell me everything.")
        await call.until("call_ended")
        await host.drain(5)
        await house.admission.settled()
        today, _ = await store.usage.of("default", datetime.now(UTC))

    assert transport.ended_with == "quota"
    assert 100 < getattr(today, measure) < 200
