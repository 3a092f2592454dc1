"""A house with fake engines, and calls in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from parley.agents.schema import Agent
from parley.core.bus import Bus, Listener
from parley.core.call import DEFAULT_TENANT, CallInfo
from parley.core.errors import NotFound
from parley.core.events import Event
from parley.engines.llm.guarding import ChatLimits
from parley.engines.spec import ChatOptions, SpeechOptions, TranscribeOptions
from parley.session.admission import Admission, OpenHouse
from parley.session.control import SessionControl
from parley.session.host import SessionHost
from parley.session.house import House
from parley.session.pipeline import CallEngines
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.testing.transport import FakeTransport
from parley.tools.book import NoBook, ToolBook
from parley.tools.spec import Tool

_FIELDS: dict[str, object] = {
    "name": "tester",
    "greeting": "Hello.",
    "goodbye": "",
    "instructions": "You are a test.",
}
AGENT = Agent.model_validate(_FIELDS)


@dataclass
class FakeHouse:
    """What the tests set up before they open a host on it."""

    listening: Listening
    agents: list[Agent] = field(default_factory=lambda: [AGENT])
    stt: FakeTranscriber = field(default_factory=FakeTranscriber)
    llm: FakeChatter = field(default_factory=lambda: FakeChatter(lambda _: "Yes."))
    tts: FakeSynthesizer = field(default_factory=lambda: FakeSynthesizer(word_ms=20, piece_ms=20))
    tools: Sequence[Tool] = ()
    spare_voice: bytes = b""
    limits: ChatLimits = field(default_factory=ChatLimits)
    admission: Admission = field(default_factory=OpenHouse)
    listeners: Sequence[Listener] = ()
    tool_book: ToolBook = field(default_factory=NoBook)
    tenants: Collection[str] | None = None

    def has_tenant(self, name: str) -> bool:
        return self.tenants is None or name in self.tenants

    def get(self, name: str, tenant: str) -> Agent:
        for agent in self.agents:
            if name in ("", agent.name) and agent.tenant in ("", tenant):
                return agent
        raise NotFound(f"There is no agent {name!r}.")

    def require_ready(self, agent: Agent) -> None:
        return None

    async def engines_for(self, agent: Agent, voice: str) -> CallEngines:
        return CallEngines(
            self.stt,
            self.llm,
            self.tts,
            TranscribeOptions(),
            ChatOptions(),
            SpeechOptions(voice=voice or agent.voice),
            self.limits,
        )

    def tools_for(self, agent: Agent, tenant: str) -> Sequence[Tool]:
        return self.tools

    @asynccontextmanager
    async def host(self, *, max_calls: int = 10) -> AsyncIterator[SessionHost]:
        async with Bus() as bus:
            for number, listener in enumerate(self.listeners):
                bus.subscribe(f"test {number}", listener)
            house = House(
                bus,
                self,
                self,
                self,
                self.listening,
                lambda: self.spare_voice,
                admission=self.admission,
                tool_book=self.tool_book,
                has_tenant=self.has_tenant,
            )
            async with SessionHost(house, max_calls=max_calls) as host:
                yield host


@dataclass
class LiveCall:
    """A call in progress, with what its transport was told."""

    transport: FakeTransport
    control: SessionControl

    async def until(self, name: str, *, count: int = 1) -> Event:
        """The ``count``-th event of that name, past or to come."""
        async for _, event in self.transport.events_from(0):
            if event.name == name:
                count -= 1
                if count == 0:
                    return event
        raise AssertionError("events never end")

    def names(self) -> list[str]:
        return [event.name for event in self.transport.events]


def start_call(
    host: SessionHost,
    *,
    agent: str = "",
    voice: str = "",
    tenant: str = DEFAULT_TENANT,
    transport: FakeTransport | None = None,
) -> LiveCall:
    transport = transport or FakeTransport()
    place = host.admit(CallInfo(agent=agent, transport="fake", voice=voice, tenant=tenant))
    return LiveCall(transport, host.start(place, transport))


def agent_with(**changes: object) -> Agent:
    return Agent.model_validate({**_FIELDS, **changes})
