"""A server with the Realtime route, engines that tests control, and OpenAI's client on it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import openai
import uvicorn
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from parley.access.caller import Caller
from parley.agents.schema import Agent
from parley.api.errors import install_error_handlers
from parley.api.openai.engines import SpeakingEngine
from parley.api.openai.voices import local_voice
from parley.api.request_id import RequestIds
from parley.core.errors import EngineFailed
from parley.engines.spec import Message, Voice
from parley.listeners import LARGEST_MESSAGE_BYTES
from parley.session.host import SessionHost
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter
from parley.testing.faults import Fault
from parley.testing.speech import FakeSynthesizer
from parley.tools.spec import Tool
from parley.transports.realtime.account import Budget
from parley.transports.realtime.admission import Reception
from parley.transports.realtime.socket import Guard, socket_router
from tests.session.fakes import AGENT, FakeHouse
from tests.transports.realtime.client import Client

MODEL = "gpt-realtime"
SILENT_AGENT = AGENT.model_copy(update={"greeting": AGENT.greeting.model_copy(update={"text": ""})})


async def everybody(connection: HTTPConnection) -> Caller:
    """A guard that lets in whoever comes."""
    connection.scope.setdefault("state", {})["caller"] = Caller(address="127.0.0.1")
    return Caller()


@dataclass
class Hangs(Fault):
    """An engine that never answers; ``begun`` is set once it was asked."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def strike(self, given: int) -> None:
        self.begun.set()
        await asyncio.Event().wait()


def never_answers() -> FakeChatter:
    """A model that is asked and says nothing, for ever."""
    return FakeChatter(lambda _: "", fault=Hangs())


def broken_model() -> FakeChatter:
    return FakeChatter(lambda _: EngineFailed("The model is away.", hint="Try later."))


@dataclass
class RealtimeHouse:
    """Where clients connect to. ``calls`` is the fake house that holds the sessions."""

    calls: FakeHouse
    host: SessionHost
    address: str
    found_voices: list[str] = field(default_factory=list[str])

    @property
    def socket_url(self) -> str:
        return f"{self.address.replace('http', 'ws', 1)}/v1/realtime"

    @property
    def llm(self) -> FakeChatter:
        return self.calls.llm

    @property
    def asked(self) -> list[list[Message]]:
        """What the model was shown, reply by reply."""
        return self.calls.llm.asked

    @asynccontextmanager
    async def client(
        self,
        model: str = MODEL,
        *,
        session: Mapping[str, Any] | None = None,
        key: str = "any",
        **options: Any,
    ) -> AsyncIterator[Client]:
        """OpenAI's own client; ``session`` is sent as the first update."""
        sdk = openai.AsyncOpenAI(base_url=f"{self.address}/v1", api_key=key, max_retries=0)
        async with sdk, sdk.realtime.connect(model=model, **options) as connection:
            client = Client(connection)
            async with client.listening():
                await client.until("session.created")
                if session is not None:
                    await client.update(**session)
                yield client


@asynccontextmanager
async def realtime_house(
    listening: Listening,
    *,
    guard: Guard = everybody,
    aliases: Mapping[str, str] | None = None,
    agents: Sequence[Agent] = (SILENT_AGENT,),
    max_calls: int = 10,
    budget: Budget | None = None,
    tools: Sequence[Tool] = (),
    **engines: Any,
) -> AsyncIterator[RealtimeHouse]:
    """``engines`` are ``stt``, ``llm``, ``tts`` and ``admission`` of the fake house."""
    calls = FakeHouse(listening, list(agents), tools=tools, **engines)
    async with calls.host(max_calls=max_calls) as host:
        web = FastAPI()
        install_error_handlers(web)
        house = RealtimeHouse(calls, host, "")
        voices = _Voices(house)
        web.include_router(socket_router(Reception(host, aliases or {}, budget), guard, voices))
        web.add_middleware(RequestIds)
        async with _served(web) as address:
            house.address = address
            yield house


class _Voices:
    """OpenAI's names mean a voice of the fake synthesizer."""

    def __init__(self, house: RealtimeHouse) -> None:
        self._house = house

    async def __call__(self, agent: Agent, wanted: str, tenant: str) -> str:
        engine = SpeakingEngine(_TwoVoices(), "fake")
        found = local_voice(engine, wanted, agent.language)
        self._house.found_voices.append(found)
        return found


class _TwoVoices(FakeSynthesizer):
    def voices(self) -> Sequence[Voice]:
        return (*super().voices(), Voice("other", "Other voice", "en-us"))


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def _served(web: FastAPI) -> AsyncIterator[str]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    config = uvicorn.Config(
        web,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws_max_size=LARGEST_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()
