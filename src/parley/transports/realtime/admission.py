"""Who answers a Realtime client: what its ``model`` means, and the session that it begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

from starlette.requests import HTTPConnection

from parley.access.guard import caller_of
from parley.agents.schema import Agent
from parley.core.call import CallInfo, new_call_id
from parley.core.errors import ModelNotFound, NotFound
from parley.session.control import SessionControl
from parley.session.host import Place
from parley.session.media import CallMedia
from parley.session.terms import CallTerms
from parley.transports.realtime.account import Account, Budget, OpenAccount
from parley.transports.realtime.session_config import SessionConfig

AGENT = "agent:"
DEFAULT_MODEL = "gpt-realtime"


class Host(Protocol):
    """What the protocol needs of the session: ``SessionHost`` is one."""

    def agent(self, name: str, tenant: str) -> Agent: ...

    def admit(self, call: CallInfo) -> Place: ...

    def start(self, place: Place, media: CallMedia, terms: CallTerms = ...) -> SessionControl: ...


@dataclass(frozen=True)
class Begun:
    """A client that may come in."""

    place: Place
    config: SessionConfig
    terms: CallTerms
    open_account: OpenAccount


class Reception:
    """``aliases`` are PARLEY_MODEL_ALIASES: other names for agents. ``budget`` counts what
    sessions use of their keys' minutes."""

    def __init__(
        self, host: Host, aliases: Mapping[str, str], budget: Budget | None = None
    ) -> None:
        self.host = host
        self._aliases = aliases
        self._budget = budget

    def config_of(self, model: str, session: Mapping[str, Any], tenant: str) -> SessionConfig:
        """The session that the tenant would begin with. Raises ``Fault`` or ``NotFound``."""
        agent, is_agent = self._agent(model, tenant)
        return SessionConfig(
            agent, model or DEFAULT_MODEL, session, is_agent=is_agent, tenant=tenant
        )

    def agent_of(self, model: str, tenant: str) -> Agent:
        """Whose engines answer the tenant by that name. Raises ``NotFound``."""
        return self._agent(model, tenant)[0]

    async def admit(
        self,
        connection: HTTPConnection,
        model: str,
        session: Mapping[str, Any],
        call_id: str = "",
    ) -> Begun:
        """Take a place for the client that the guard has let in.

        A client secret's session comes first, what the client says itself goes over it. Raises
        ``Fault``, ``NotFound`` or what ``SessionHost.admit`` and ``Place.reserve`` raise.
        """
        caller = caller_of(connection)
        given = dict(caller.session or {})
        model = model or str(given.get("model") or session.get("model") or "")
        config = self.config_of(model, given, caller.tenant)
        if session.get("type", config.form.type) == config.form.type:
            config.take(config.with_change(session))
        else:
            config = self.config_of(model, session, caller.tenant)
        agent, is_agent = self._agent(model, caller.tenant)
        call = CallInfo(
            id=call_id or new_call_id(),
            agent=agent.name,
            transport="realtime",
            caller=caller.address,
            tenant=caller.tenant,
        )
        place = self.host.admit(call)
        try:
            await place.reserve()
        except BaseException:
            place.release()
            raise
        is_agent = is_agent and not config.transcribes
        terms = CallTerms(is_agent, speaks=not config.transcribes)
        return Begun(place, config, terms, partial(Account, caller, self._budget))

    def _agent(self, model: str, tenant: str) -> tuple[Agent, bool]:
        """``agent:NAME`` is that agent; any other model is the default agent's engines alone."""
        if agent := self._named(self._aliases.get(model, ""), tenant):
            return agent, True
        if model.startswith(AGENT):
            try:
                return self.host.agent(model.removeprefix(AGENT), tenant), True
            except NotFound as error:
                raise ModelNotFound(error.message, hint=error.hint, param="model") from error
        try:
            return self.host.agent(model, tenant), bool(model)
        except NotFound:
            meant = self._named(self._aliases.get("*", ""), tenant)
            return meant or self.host.agent("", tenant), meant is not None

    def _named(self, meant: str, tenant: str) -> Agent | None:
        """The agent that an alias means, if the tenant has it: no alias tells of another's."""
        if not meant.startswith(AGENT):
            return None
        try:
            return self.host.agent(meant.removeprefix(AGENT), tenant)
        except NotFound:
            return None


def session_of(value: object) -> dict[str, Any]:
    """A client's session object, or an empty one."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
