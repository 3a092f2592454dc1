"""Admits calls, counts them, lets them go: one host per process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from parley.agents.schema import Agent
from parley.core.call import CallInfo, EndReason
from parley.core.errors import CallLimitReached, Draining
from parley.core.log import get_logger
from parley.session.admission import Reservation
from parley.session.control import CallControl, SessionControl
from parley.session.house import House
from parley.session.live_call import LiveCall
from parley.session.media import CallMedia
from parley.session.metering import free_of_charge
from parley.session.run import run_call
from parley.session.terms import AS_THE_AGENT_IS, CallTerms

log = get_logger(__name__)

RETRY_AFTER_S = 5


@dataclass(eq=False)
class Place:
    """A call's place in the house, taken before anything is built for it."""

    call: CallInfo
    agent: Agent
    host: SessionHost
    reservation: Reservation | None = None

    async def reserve(self) -> None:
        """Have the tenant pay for the call. Raises ``QuotaExceeded`` or ``CallLimitReached``."""
        self.reservation = await self.host.reserve(self.call)

    def release(self) -> None:
        """Give the place back, for a call that came to nothing."""
        self.host.give_back(self)


class SessionHost:
    """Holds the live calls. Admission is one step without an await, so it can't be overshot.

    Use it as an async context manager; leaving it ends what is still going.
    """

    def __init__(self, house: House, *, max_calls: int) -> None:
        self._house = house
        self.max_calls = max_calls
        self._places: set[Place] = set()
        self._calls: dict[str, LiveCall] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._draining = False

    async def __aenter__(self) -> SessionHost:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain(0)

    @property
    def is_accepting(self) -> bool:
        return not self._draining

    @property
    def live_calls(self) -> int:
        return len(self._places)

    def agent(self, name: str, tenant: str) -> Agent:
        """The agent that would answer the tenant; "" is the default one. Raises ``NotFound``."""
        return self._house.agents.get(name, tenant)

    def has_tenant(self, name: str) -> bool:
        """Whether there is such a tenant, as far as is known now."""
        return self._house.has_tenant(name)

    def admit(self, call: CallInfo) -> Place:
        """Take a place for the call.

        Raises ``Draining``, ``CallLimitReached``, ``NotReady`` or ``NotFound``.
        """
        if self._draining:
            raise Draining("No new calls.", retry_after_s=RETRY_AFTER_S)
        agent = self.agent(call.agent, call.tenant)
        self._house.engines.require_ready(agent)
        if len(self._places) >= self.max_calls:
            raise CallLimitReached(
                f"All {self.max_calls} lines are busy.", retry_after_s=RETRY_AFTER_S
            )
        place = Place(replace(call, agent=agent.name), agent, self)
        self._places.add(place)
        self._empty.clear()
        return place

    async def reserve(self, call: CallInfo) -> Reservation:
        """What the call's tenant sets aside for it."""
        return await self._house.admission.reserve(call)

    def give_back(self, place: Place) -> None:
        self._places.discard(place)
        reservation, place.reservation = place.reservation, None
        if reservation is not None:
            reservation.settle()
        if not self._places:
            self._empty.set()

    def start(
        self, place: Place, media: CallMedia, terms: CallTerms = AS_THE_AGENT_IS
    ) -> SessionControl:
        """Run the call in a task of its own; from here on the session owns the media."""
        control = CallControl(place.call.id)
        note = free_of_charge
        if place.reservation is not None:
            place.reservation.when_spent(partial(control.end, "quota"))
            note = place.reservation.note
        task = asyncio.create_task(
            run_call(place.call, place.agent, media, control, self._house, note, terms),
            name=f"call:{place.call.id}",
        )
        self._calls[place.call.id] = LiveCall(place.call, control, task, self._house.bus)
        task.add_done_callback(lambda _: self._forget(place))
        return control

    def find(self, call_id: str) -> SessionControl | None:
        held = self._calls.get(call_id)
        return held.control if held else None

    def live(self, tenant: str) -> Sequence[LiveCall]:
        """The tenant's calls, and nobody else's."""
        return [held for held in self._calls.values() if held.call.tenant == tenant]

    def _forget(self, place: Place) -> None:
        self._calls.pop(place.call.id, None)
        self.give_back(place)

    async def drain(self, limit_s: float) -> None:
        """Take no more calls; let the live ones finish within ``limit_s``, then end them."""
        self._draining = True
        if self._places and limit_s > 0:
            log.info("draining", live_calls=self.live_calls, limit_s=limit_s)
            try:
                async with asyncio.timeout(limit_s):
                    await self._empty.wait()
            except TimeoutError:
                log.warning("drain_limit_reached", live_calls=self.live_calls)
        self._end_all("drain")
        tasks = [held.over for held in self._calls.values()]
        if tasks:
            await asyncio.wait(tasks)

    def _end_all(self, reason: EndReason) -> None:
        for held in list(self._calls.values()):
            held.control.end(reason)
