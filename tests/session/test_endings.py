"""However a call ends, it ends soon and everything in it is free."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import numpy as np

from parley.engines.spec import ChatOptions, Delta, Message, ToolSchema
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter
from parley.testing.speech import FakeSynthesizer
from tests.session.fakes import FakeHouse, agent_with, start_call


class HungModel(FakeChatter):
    """Takes every question and answers none."""

    def __init__(self) -> None:
        super().__init__(lambda _: "")
        self.asked = asyncio.Event()
        self.was_closed = asyncio.Event()

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.was_closed.set()
        yield Delta()


async def test_a_caller_whose_model_hangs_is_told_goodbye_when_the_server_goes_down(
    listening: Listening,
):
    model = HungModel()
    agent = agent_with(greeting="", goodbye="Goodbye now.")
    house = FakeHouse(listening, agents=[agent], llm=model)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")
        await call.control.ask("Are you there?")
        await model.asked.wait()
        call.control.end("drain")
        ended = await call.until("call_ended")

    assert model.was_closed.is_set()
    assert "Goodbye now." in house.tts.texts
    assert ended.reason == "drain"


async def test_a_caller_who_leaves_during_the_goodbye_is_spoken_to_no_longer(listening: Listening):
    agent = agent_with(greeting="", goodbye="goodbye and thank you for calling")
    house = FakeHouse(listening, agents=[agent], tts=FakeSynthesizer(word_ms=2000))
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")
        call.control.end("idle")
        await call.until("agent_speech_started")
        call.transport.leave()
        ended = await call.until("call_ended")

    heard_s = np.count_nonzero(np.frombuffer(call.transport.heard, np.int16)) / 24_000
    assert heard_s < 6
    assert ended.reason == "idle"
    assert house.tts.open_iterators == 0
