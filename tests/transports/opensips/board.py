"""Calls through a small OpenSIPS to a fake house, for the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from parley.agents.schema import Agent
from parley.core.call import CallInfo
from parley.core.errors import QuotaExceeded
from parley.session.admission import Reservation
from parley.session.turns import Listening
from parley.transports.opensips.gateway import OpenSips
from parley.transports.opensips.options import OpenSipsOptions, Patience
from parley.transports.sip.rtp.codecs import G722, PCMA, PCMU
from parley.transports.sip.rtp.line import LineOptions
from parley.transports.wheel import Wheel
from tests.session.fakes import AGENT, FakeHouse
from tests.transports.opensips.fake_opensips import FakeOpenSips, Session
from tests.transports.sip.caller import PhoneCaller
from tests.transports.sip.listening_board import ListeningBoard, Notes, no_task_left
from tests.transports.sip.phone import Phone
from tests.transports.sip.rtp.far_end import FarEnd

# Everything that takes seconds takes hundredths.
QUICK = Patience(
    answer_s=0.1,
    tries=2,
    refresh_s=0.2,
    second_look_s=0.05,
    retry_s=0.02,
    longest_retry_s=0.05,
    change_s=1.0,
    ack_s=1.0,
)
PORTS = (34_000, 34_999)


@dataclass(kw_only=True)
class Board(ListeningBoard):
    """The gateway with a fake house behind it, and what happens in its calls."""

    gateway: OpenSips
    opensips: FakeOpenSips

    async def subscribed(self) -> None:
        async with asyncio.timeout(10):
            await self.gateway.subscription.is_held.wait()

    async def missed(self) -> None:
        async with asyncio.timeout(10):
            await self.gateway.subscription.is_missing.wait()

    async def all_told(self) -> None:
        """Return when every command so far was answered: they are answered in their order."""
        await self.gateway.subscription.stop()

    async def is_free(self) -> bool:
        """Once the call is over: whether nothing of it is left, here or at OpenSIPS."""
        await self.until("call_ended")
        await self.host.drain(5)
        left = self.host.live_calls, self.gateway.live_calls, self.gateway.sessions
        return (*left, len(self.opensips.sessions)) == (0, 0, 0, 0)


@asynccontextmanager
async def board_at(
    opensips: FakeOpenSips,
    listening: Listening,
    *,
    agents: Sequence[Agent] = (AGENT,),
    max_calls: int = 4,
    options: dict[str, Any] | None = None,
    **engines: Any,
) -> AsyncIterator[Board]:
    notes = Notes()
    house = FakeHouse(listening, list(agents), listeners=[notes.note], **engines)
    usual = OpenSipsOptions(
        mi_port=opensips.port,
        line=LineOptions(codecs=(G722, PCMU, PCMA)),
        rtp_ports=PORTS,
        patience=QUICK,
    )
    async with (
        no_task_left(),
        house.host(max_calls=max_calls) as host,
        OpenSips(replace(usual, **(options or {})), host, Wheel()) as gateway,
    ):
        notes.board = board = Board(gateway=gateway, host=host, opensips=opensips)
        yield board


class Caller(PhoneCaller):
    """Somebody whose signalling is OpenSIPS's business: only the sound comes from here."""

    session: Session

    async def ring(self, opensips: FakeOpenSips, **changes: str) -> Session:
        self.session = opensips.invite(changes.pop("body", self.sdp), **changes)
        return self.session

    async def connect(self, opensips: FakeOpenSips, **changes: str) -> Session:
        """Call, and begin to send sound once it is answered."""
        session = await self.ring(opensips, **changes)
        self.begin((await opensips.sent(session, 200)).body)
        return session


@asynccontextmanager
async def sound_caller(*, is_wideband: bool = False) -> AsyncIterator[Caller]:
    caller = Caller(Phone(), await FarEnd().open(), is_wideband=is_wideband)
    try:
        yield caller
    finally:
        await caller.close()


class Spent:
    """An admission that refuses."""

    async def reserve(self, call: CallInfo) -> Reservation:
        raise QuotaExceeded("All of it is spent.")


class Waits:
    """An admission that takes its time, and then refuses."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def reserve(self, call: CallInfo) -> Reservation:
        self.asked.set()
        await self.go.wait()
        raise QuotaExceeded("Spent meanwhile.")
