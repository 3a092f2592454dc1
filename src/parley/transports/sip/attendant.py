"""Answers what rings: an agent is found, a place taken, a line opened, a session begun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from parley.agents.schema import Agent
from parley.core.call import CallInfo
from parley.core.errors import CallNotLive, ParleyError
from parley.core.log import get_logger
from parley.session.control import SessionControl
from parley.session.host import Place
from parley.session.media import CallMedia
from parley.settings.agent_rules import AgentRule
from parley.transports.sip.phone_media import PhoneMedia
from parley.transports.sip.ringing import Ringing
from parley.transports.sip.rtp.line import LineListener, PhoneLine
from parley.transports.sip.who_answers import agent_for, caller_of, refuse, require_agents

log = get_logger(__name__)

MakeLine = Callable[[Ringing, LineListener], PhoneLine]


class Host(Protocol):
    """What calls need of the session: ``SessionHost`` is one."""

    def agent(self, name: str, tenant: str) -> Agent: ...

    def has_tenant(self, name: str) -> bool: ...

    def admit(self, call: CallInfo) -> Place: ...

    def start(self, place: Place, media: CallMedia) -> SessionControl: ...


class Attendant:
    """``transport`` is what the calls are told to have come by; ``own_names`` are names that a
    caller may dial for the default agent, and ``rules`` say who answers before anything else."""

    def __init__(
        self,
        host: Host,
        make_line: MakeLine,
        *,
        transport: str,
        own_names: frozenset[str] = frozenset(),
        rules: Sequence[AgentRule] = (),
    ) -> None:
        """Raises ``BadSettings`` where a rule names an agent or a tenant that there isn't."""
        require_agents(rules, host)
        self._host = host
        self._make_line = make_line
        self._transport = transport
        self._own_names = own_names
        self._rules = rules
        self.open: set[PhoneMedia] = set()
        """The calls that hold a line."""

    async def take(self, invite: Ringing) -> None:
        """Answer the call or refuse it. Raises ``CallNotLive`` where the caller has gone."""
        try:
            place = self._host.admit(self._call_of(invite))
            try:
                await place.reserve()
                invite.ring()
                media = await self._answer(invite, place.call.id)
            except BaseException:
                place.release()
                raise
        except CallNotLive:
            raise
        except ParleyError as error:
            log.info(
                f"{self._transport}_call_refused",
                peer=invite.source[0],
                code=error.code,
                why=str(error),
            )
            refuse(invite, error)
            return
        self._host.start(place, media)

    def _call_of(self, invite: Ringing) -> CallInfo:
        """Raises ``NotFound``."""
        found = agent_for(invite, self._host, self._own_names, self._rules)
        return CallInfo(
            agent=found.agent,
            transport=self._transport,
            tenant=found.tenant,
            caller=caller_of(invite),
        )

    async def _answer(self, invite: Ringing, call_id: str) -> PhoneMedia:
        """Take the call; return when it has been acknowledged and both sides can be heard."""
        media = PhoneMedia(call_id, partial(self._make_line, invite), self.open.discard)
        self.open.add(media)
        try:
            ours = media.line.answer(invite.offer) if invite.offer else media.line.offer()
            call = await invite.answer(ours, media.take_over)
            if not invite.offer:
                media.line.accept(call.remote_sdp)
        except BaseException:
            await media.hang_up("error")
            raise
        return media
