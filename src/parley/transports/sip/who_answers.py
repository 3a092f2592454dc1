"""Which agent answers a telephone call, and how a call that nobody takes is refused."""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import unquote

from parley.agents.schema import Agent
from parley.core.call import DEFAULT_TENANT
from parley.core.errors import (
    BadOffer,
    IncompatibleOffer,
    NotFound,
    NotReady,
    ParleyError,
    QuotaExceeded,
    Refused,
)
from parley.transports.sip.ringing import Ringing

AGENT_HEADER = "x-parley-agent"
RETRY_AFTER_S = 5

_NUMBER = re.compile(r"[+*#\d][-.()*#\d]*")
_URI = re.compile(r"<([^<>\s]+)>|^\s*([^<>\s,;]+)")


class Agents(Protocol):
    """Who could answer: ``SessionHost`` knows."""

    def agent(self, name: str, tenant: str) -> Agent: ...


def agent_for(invite: Ringing, agents: Agents, own_names: frozenset[str]) -> str:
    """The name of the agent that is called; "" is the default one. Raises ``NotFound``.

    What was dialled counts first, then what a trusted peer says. A number that is no agent's name
    reaches the default agent, and so do our own names: what we registered as. Another name is a
    mistake that whoever dialled it should hear of.
    """
    dialled = unquote(invite.callee_user)
    if dialled and _is_agent(dialled, agents):
        return dialled
    wanted = invite.headers.get(AGENT_HEADER, "").strip() if invite.is_trusted else ""
    if wanted:
        return agents.agent(wanted, DEFAULT_TENANT).name
    if not dialled or dialled in own_names or _NUMBER.fullmatch(dialled):
        return ""
    return agents.agent(dialled, DEFAULT_TENANT).name


def _is_agent(name: str, agents: Agents) -> bool:
    try:
        agents.agent(name, DEFAULT_TENANT)
    except NotFound:
        return False
    return True


def caller_of(invite: Ringing) -> str:
    """Who calls, as a URI: a trusted peer knows better than the From that a telephone wrote."""
    if invite.is_trusted:
        told = _URI.search(invite.headers.get("p-asserted-identity", ""))
        if told is not None:
            return told[1] or told[2]
    return invite.caller


def refuse(invite: Ringing, error: ParleyError) -> None:
    """Tell the caller why not, in SIP's words."""
    status = _status_of(error)
    retry_after_s = 0
    if isinstance(error, Refused) and status in (480, 503):
        retry_after_s = error.retry_after_s or RETRY_AFTER_S
    invite.reject(status, error.message, retry_after_s)


def _status_of(error: ParleyError) -> int:
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, IncompatibleOffer):
        return 488
    if isinstance(error, BadOffer):
        return 400
    if isinstance(error, QuotaExceeded):
        return 486
    if isinstance(error, NotReady):
        # This agent only: 503 would have a proxy take all calls elsewhere.
        return 480
    return 503 if error.can_retry else 500
