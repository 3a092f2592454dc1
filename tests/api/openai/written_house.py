"""A server with the written routes, engines that tests control, and OpenAI's clients on it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from openai import AsyncOpenAI, OpenAI

from parley.agents.schema import Agent
from parley.api.errors import install_error_handlers
from parley.api.openai.chat import chat_router
from parley.api.openai.chat_audio import ChatAudio
from parley.api.openai.chat_directory import ChatDirectory
from parley.api.openai.chat_metering import TokenMeter
from parley.api.openai.engines import HearingEngine, SpeakingEngine
from parley.api.openai.models import models_router
from parley.api.openai.models_list import ModelList
from parley.api.openai.responses import responses_router
from parley.api.request_id import RequestIds
from parley.core.errors import NotFound
from parley.engines.catalog import EngineCatalog
from parley.engines.found import engines_from
from parley.engines.llm.openai import SPEC as OPENAI
from parley.engines.llm.scripted.chatter import SPEC as SCRIPTED
from parley.engines.shelf import ModelShelf
from parley.engines.spec import (
    ChatOptions,
    Chatter,
    EngineOptions,
    EngineSpec,
    SpeechOptions,
    TranscribeOptions,
)
from parley.engines.wish import EngineWish
from parley.session.pipeline import CallEngines
from parley.session.turn_runner import TurnRunner
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.tools.spec import Tool
from tests.session.fakes import AGENT


class FakeOptions(EngineOptions):
    """The fake engine's, which has several models."""

    model: str = ""


@dataclass
class WrittenHouse:
    """What a test sets up before it opens the server."""

    llm: FakeChatter = field(default_factory=lambda: FakeChatter(lambda _: "Yes, indeed."))
    agent: Agent = AGENT
    agent_llm: Chatter | None = None
    tools: Sequence[Tool] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    keeps_format: bool = False
    extra_specs: Sequence[EngineSpec[Any]] = ()
    base_url: str = ""
    meter: TokenMeter | None = None
    tenants: list[str] = field(default_factory=list)
    stall_s: float = 10.0
    stt: FakeTranscriber = field(default_factory=FakeTranscriber)
    tts: FakeSynthesizer = field(default_factory=lambda: FakeSynthesizer(word_ms=20, piece_ms=20))

    # ── what the turn runner needs ──────────────────────────────────────────────────────────

    def of(self, tenant: str) -> list[Agent]:
        return [self.agent]

    def get(self, name: str = "", tenant: str = "") -> Agent:
        if name in ("", self.agent.name):
            return self.agent
        raise NotFound(f"There is no agent {name!r}.", hint=f"Known: {self.agent.name}.")

    def require_ready(self, agent: Agent) -> None:
        return None

    async def engines_for(self, agent: Agent, voice: str) -> CallEngines:
        return CallEngines(
            self.stt,
            self.agent_llm or self.llm,
            self.tts,
            TranscribeOptions(),
            ChatOptions(time_zone=agent.time_zone),
            SpeechOptions(),
        )

    def tools_for(self, agent: Agent, tenant: str) -> Sequence[Tool]:
        return self.tools

    # ── what the audio of chat needs ────────────────────────────────────────────────────────

    async def hearing(self, model: str, tenant: str) -> HearingEngine:
        return HearingEngine(self.stt, "fake")

    async def speaking(self, model: str, tenant: str) -> SpeakingEngine:
        return SpeakingEngine(self.tts, "fake")

    # ── the server ──────────────────────────────────────────────────────────────────────────

    def fake_spec(self) -> EngineSpec[Any]:
        return EngineSpec(
            kind="llm",
            name="fake",
            options=FakeOptions,
            open=lambda _options: self.llm,
            summary="The fake engine",
            available=lambda _options: True,
            keeps_format=self.keeps_format,
        )

    async def guard(self, request: Request) -> None:
        """Stands in for the access guard: the key is the tenant's name."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        request.state.caller = _Caller(given or "default")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[WrittenHouse]:
        found = engines_from([self.fake_spec(), SCRIPTED, OPENAI, *self.extra_specs])
        catalog = EngineCatalog(found, self.values)
        shelf = ModelShelf(found, self.values)
        listed = ModelList(self, found, self.values, shelf, catalog.rows, aliases=self.aliases)
        runner = TurnRunner(self, self)
        directory = ChatDirectory(
            catalog,
            self,
            runner,
            listed,
            usual=(EngineWish("fake"),),
            aliases=self.aliases,
        )
        web = FastAPI()
        install_error_handlers(web)
        limits: dict[str, Any] = {
            "most_bytes": 1_000_000,
            "stall_s": self.stall_s,
            "meter": self.meter,
        }
        web.include_router(
            chat_router(directory, self.guard, audio=ChatAudio(self, self), **limits)
        )
        web.include_router(responses_router(directory, self.guard, **limits))
        web.include_router(models_router(listed, shelf, catalog, self.guard, self.guard))
        try:
            async with served(RequestIds(web)) as address:
                self.base_url = f"{address}/v1"
                yield self
        finally:
            await runner.close()
            await catalog.close()

    @asynccontextmanager
    async def client(self, tenant: str = "acme", **options: Any) -> AsyncIterator[AsyncOpenAI]:
        async with AsyncOpenAI(
            api_key=tenant, base_url=self.base_url, max_retries=0, **options
        ) as client:
            yield client

    def sync_client(self, **options: Any) -> OpenAI:
        return OpenAI(api_key="acme", base_url=self.base_url, max_retries=0, **options)


@dataclass(frozen=True)
class _Caller:
    tenant: str


@asynccontextmanager
async def house_with(**changes: Any) -> AsyncIterator[WrittenHouse]:
    async with WrittenHouse(**changes).opened() as house:
        yield house


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The application on a free port of this machine; its address."""
    # asyncio switches Nagle off only where the protocol is named: else a stream waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    # Who comes before the server is up waits in line.
    listener.listen(16)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    config.timeout_graceful_shutdown = 2
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield
