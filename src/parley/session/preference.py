"""Agents as one way in prefers them: where ``auto`` chooses, certain engines come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from parley.agents.schema import Agent, AgentKey
from parley.core.call import CallInfo
from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.engines.spec import Kind
from parley.engines.wish import AUTO, EngineWish, Wishes
from parley.session.control import SessionControl
from parley.session.host import Place, SessionHost
from parley.session.media import CallMedia
from parley.session.terms import AS_THE_AGENT_IS, CallTerms

log = get_logger(__name__)


class Preference:
    """``first`` names engines by kind; ``by`` says who asks for them.

    An agent that names its engines keeps them. The same agent gives the same object again, so that
    what was prepared for it is found.
    """

    def __init__(self, first: Mapping[Kind, str], by: str) -> None:
        self._first = {kind: EngineWish(name, by=by) for kind, name in first.items()}
        self._by = by
        self._made: dict[AgentKey, tuple[Agent, Agent]] = {}

    def of(self, agent: Agent) -> Agent:
        """The agent with these engines before ``auto``; itself where that changes nothing."""
        wishes = agent.engines.wishes()
        changed = {kind: self._before_auto(kind, wishes[kind]) for kind in wishes}
        if changed == wishes:
            return agent
        of, made = self._made.get(agent.key, (None, agent))
        if of is not agent:
            made = agent.by_way_of(self._by, agent.engines.model_copy(update=changed))
            self._made[agent.key] = (agent, made)
        return made

    def _before_auto(self, kind: Kind, wishes: Wishes) -> Wishes:
        first = self._first.get(kind)
        if first is None or all(wish.name != AUTO for wish in wishes):
            return wishes
        at = next(place for place, wish in enumerate(wishes) if wish.name == AUTO)
        return (*wishes[:at], first, *wishes[at:])


class Prepares(Protocol):
    """Settles on an agent's engines and warms them; the desk does."""

    async def prepare(self, agent: Agent) -> None: ...


class Variants:
    """Prepares agents as everybody finds them, and as those do who come by a way of their own."""

    def __init__(self, desk: Prepares, preference: Preference) -> None:
        self._desk = desk
        self.preference = preference

    async def prepare(self, agent: Agent) -> None:
        """Raises what keeps the agent itself from working."""
        await self._desk.prepare(agent)
        await self._prepare_variant(agent)

    async def prepare_all(self, agents: Sequence[Agent]) -> None:
        """The variants of agents that are prepared already."""
        for agent in agents:
            await self._prepare_variant(agent)

    async def _prepare_variant(self, agent: Agent) -> None:
        variant = self.preference.of(agent)
        if variant is agent:
            return
        try:
            await self._desk.prepare(variant)
        except ParleyError as error:
            # A call that needs it tries again, and says so if it can't be had.
            log.error("agent_not_ready", agent=agent.name, error=str(error))


class PreferringHost:
    """The host of calls, for those that come by that way."""

    def __init__(self, host: SessionHost, preference: Preference) -> None:
        self._host = host
        self._preference = preference

    @property
    def is_accepting(self) -> bool:
        return self._host.is_accepting

    def agent(self, name: str, tenant: str) -> Agent:
        """The agent that would answer. Raises ``NotFound``."""
        return self._preference.of(self._host.agent(name, tenant))

    def admit(self, call: CallInfo) -> Place:
        """Take a place for the call. Raises what ``SessionHost.admit`` does."""
        place = self._host.admit(call)
        place.agent = self._preference.of(place.agent)
        return place

    def start(
        self, place: Place, media: CallMedia, terms: CallTerms = AS_THE_AGENT_IS
    ) -> SessionControl:
        return self._host.start(place, media, terms)
