"""A telephone with a fake house behind it, for the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from parley.agents.schema import Agent
from parley.core.events import Event
from parley.session.control import SessionControl
from parley.session.host import SessionHost
from parley.session.turns import Listening
from parley.transports.sip.options import SipOptions
from parley.transports.sip.rtp.codecs import G722, PCMA, PCMU
from parley.transports.sip.rtp.line import LineOptions
from parley.transports.sip.telephone import Telephone, TelephoneOptions
from tests.session.fakes import AGENT, FakeHouse
from tests.transports.sip.phone import T1_S


@dataclass
class Switchboard:
    """A telephone with a fake house behind it, and what happens in its calls."""

    telephone: Telephone
    host: SessionHost
    events: list[Event] = field(default_factory=list[Event])
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    async def note(self, event: Event) -> None:
        self.events.append(event)
        self.happened.set()

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    async def until(self, name: str) -> Any:
        async with asyncio.timeout(15):
            while name not in self.names():
                self.happened.clear()
                await self.happened.wait()
        return next(event for event in self.events if event.name == name)

    async def control(self) -> SessionControl:
        started = await self.until("media_started")
        control = self.host.find(started.call_id)
        assert control is not None
        return control

    async def is_free(self) -> bool:
        """Once the call is over: whether nothing of it is left."""
        await self.until("call_ended")
        await self.host.drain(5)
        left = (self.host.live_calls, self.telephone.live_calls, self.telephone.endpoint.live_calls)
        return left == (0, 0, 0)


@asynccontextmanager
async def switchboard(
    listening: Listening,
    *,
    agents: Sequence[Agent] = (AGENT,),
    max_calls: int = 4,
    line: LineOptions | None = None,
    sip: dict[str, Any] | None = None,
    **engines: Any,
) -> AsyncIterator[Switchboard]:
    board: list[Switchboard] = []

    async def note(event: Event) -> None:
        await board[0].note(event)

    house = FakeHouse(listening, list(agents), listeners=[note], **engines)
    options = TelephoneOptions(
        SipOptions(port=0, t1_s=T1_S, closing_s=1.0, **(sip or {})),
        line or LineOptions(codecs=(G722, PCMU, PCMA)),
        (30_000, 31_999),
    )
    tasks = asyncio.all_tasks()
    async with house.host(max_calls=max_calls) as host, Telephone(options, host) as telephone:
        board.append(Switchboard(telephone, host))
        yield board[0]
    left = [t for t in asyncio.all_tasks() - tasks if t is not asyncio.current_task()]
    assert not left, left
