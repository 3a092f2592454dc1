"""A telephone with a fake house behind it, for the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from parley.agents.schema import Agent
from parley.session.turns import Listening
from parley.settings.agent_rules import AgentRule
from parley.transports.sip.agreement import Secrecy
from parley.transports.sip.options import SipOptions
from parley.transports.sip.rtp.codecs import G722, PCMA, PCMU
from parley.transports.sip.rtp.line import LineOptions
from parley.transports.sip.telephone import Telephone, TelephoneOptions
from parley.transports.wheel import Wheel
from tests.session.fakes import AGENT, FakeHouse
from tests.transports.sip.listening_board import ListeningBoard, Notes, no_task_left
from tests.transports.sip.phone import T1_S


@dataclass(kw_only=True)
class Switchboard(ListeningBoard):
    """A telephone with a fake house behind it, and what happens in its calls."""

    telephone: Telephone

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
    rules: Sequence[str] = (),
    secrecy: Secrecy = "allowed",
    **engines: Any,
) -> AsyncIterator[Switchboard]:
    notes = Notes()
    house = FakeHouse(listening, list(agents), listeners=[notes.note], **engines)
    options = TelephoneOptions(
        SipOptions(**{"port": 0, "t1_s": T1_S, "closing_s": 1.0, **(sip or {})}),
        line or LineOptions(codecs=(G722, PCMU, PCMA)),
        (30_000, 31_999),
        rules=tuple(map(AgentRule.read, rules)),
        secrecy=secrecy,
    )
    async with (
        no_task_left(),
        house.host(max_calls=max_calls) as host,
        Telephone(options, host, Wheel()) as telephone,
    ):
        notes.board = board = Switchboard(telephone=telephone, host=host)
        yield board
