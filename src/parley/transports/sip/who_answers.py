"""Which agent answers a telephone call, and how a call that nobody takes is refused."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

from parley.agents.schema import Agent
from parley.core.call import DEFAULT_TENANT
from parley.core.errors import (
    BadOffer,
    BadSettings,
    IncompatibleOffer,
    NotFound,
    NotReady,
    ParleyError,
    QuotaExceeded,
    Refused,
)
from parley.core.log import get_logger
from parley.settings.agent_rules import AgentRule, Network, Pattern
from parley.transports.sip.addresses import Address, SipUri
from parley.transports.sip.grammar import Malformed, split_list
from parley.transports.sip.replies import warning_line
from parley.transports.sip.ringing import Ringing

log = get_logger(__name__)

AGENT_HEADER = "x-parley-agent"
IDENTITY_HEADER = "p-asserted-identity"
DIVERSION_HEADER = "diversion"
RETRY_AFTER_S = 5

_NUMBER = re.compile(r"[+*#\d][-.()*#\d]*")
_WORD = re.compile(r"[^<>\s,;\"]+")


class Agents(Protocol):
    """Who could answer: ``SessionHost`` knows."""

    def agent(self, name: str, tenant: str) -> Agent: ...

    def has_tenant(self, name: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Answering:
    """The name of the agent that answers, "" being the default one, and for which tenant."""

    agent: str
    tenant: str = DEFAULT_TENANT


def require_agents(rules: Iterable[AgentRule], agents: Agents) -> None:
    """Refuse rules that name nobody. Raises ``BadSettings``."""
    for rule in rules:
        if not _has_tenant(rule, agents):
            raise BadSettings(
                f"PARLEY_SIP_AGENTS: in {rule} there is no tenant {rule.tenant!r}.",
                hint=f"Correct it (parley tenants list), or make it: parley tenants set "
                f"{rule.tenant} --calls none.",
            )
        try:
            agents.agent(rule.agent, rule.tenant or DEFAULT_TENANT)
        except NotFound as error:
            raise BadSettings(
                f"PARLEY_SIP_AGENTS: in {rule} there is nobody to answer. {error.message}",
                hint=error.hint,
            ) from error


def agent_for(
    invite: Ringing,
    agents: Agents,
    own_names: frozenset[str],
    rules: Iterable[AgentRule] = (),
) -> Answering:
    """Who answers. Raises ``NotFound``.

    The first rule that fits counts, then what was dialled, then what a trusted peer says. A number
    that is no agent's name reaches the default agent, and so do our own names: what we registered
    as. Another name is a mistake that whoever dialled it should hear of.
    """
    dialled = unquote(invite.callee_user)
    wanted = invite.headers.get(AGENT_HEADER, "").strip() if invite.is_trusted else ""
    if wanted and not dialled:
        return Answering(agents.agent(wanted, DEFAULT_TENANT).name)
    rule = _rule_for(invite, dialled, own_names, rules)
    if rule is not None:
        _require_tenant(rule, agents)
        tenant = rule.tenant or DEFAULT_TENANT
        return Answering(agents.agent(rule.agent, tenant).name, tenant)
    if dialled and _is_agent(dialled, agents):
        return Answering(dialled)
    if wanted:
        return Answering(agents.agent(wanted, DEFAULT_TENANT).name)
    if not dialled or dialled in own_names or _NUMBER.fullmatch(dialled):
        return Answering("")
    return Answering(agents.agent(dialled, DEFAULT_TENANT).name)


def _has_tenant(rule: AgentRule, agents: Agents) -> bool:
    return not rule.tenant or agents.has_tenant(rule.tenant)


def _require_tenant(rule: AgentRule, agents: Agents) -> None:
    """Tenants may go while the server runs; nobody else answers, or pays, for them."""
    if not _has_tenant(rule, agents):
        log.warning("sip_rule_without_tenant", rule=str(rule), tenant=rule.tenant)
        raise NotFound("Nobody answers this number.")


def _is_agent(name: str, agents: Agents) -> bool:
    try:
        agents.agent(name, DEFAULT_TENANT)
    except NotFound:
        return False
    return True


# ── rules ────────────────────────────────────────────────────────────────────────────────────


def _rule_for(
    invite: Ringing, dialled: str, own_names: frozenset[str], rules: Iterable[AgentRule]
) -> AgentRule | None:
    called = dialled, invite.callee_host
    if not dialled or dialled in own_names:
        # A PBX reaches us by the name that we registered as; To still says what was dialled.
        called = unquote(invite.dialled_user), invite.dialled_host
    return next((rule for rule in rules if _fits(rule, invite, called)), None)


def _fits(rule: AgentRule, invite: Ringing, called: tuple[str, str]) -> bool:
    """Whether a call is everything that the rule says."""
    if rule.dialled is not None and not rule.dialled.fits(*called):
        return False
    if rule.caller is not None and not _names(rule.caller, _uris(caller_of(invite))):
        return False
    # Who passed the call on: only a trusted peer is believed.
    told = invite.headers.get(DIVERSION_HEADER, "") if invite.is_trusted else ""
    if rule.diverted is not None and not _names(rule.diverted, _uris(told)):
        return False
    return rule.via is None or _is_in(rule.via, invite.source[0])


def _names(pattern: Pattern, uris: Iterable[SipUri]) -> bool:
    return any(pattern.fits(uri.user, uri.host) for uri in uris)


def _uris(header: str) -> list[SipUri]:
    """Those of its addresses that can be read."""
    found: list[SipUri] = []
    for text in split_list(header):
        with suppress(Malformed):
            found.append(Address.read(text).uri)
    return found


def _is_in(network: Network, host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]) in network
    except ValueError:
        return False


# ── the caller ───────────────────────────────────────────────────────────────────────────────


def caller_of(invite: Ringing) -> str:
    """Who calls, as a URI: a trusted peer knows better than the From that a telephone wrote."""
    if invite.is_trusted:
        told = invite.headers.get(IDENTITY_HEADER, "").strip()
        if uris := _uris(told):
            return uris[0].text
        if _WORD.fullmatch(told):
            return told
    return invite.caller


def refuse(invite: Ringing, error: ParleyError) -> None:
    """Tell the caller why not, in SIP's words."""
    status = _status_of(error)
    retry_after_s = 0
    if isinstance(error, Refused) and status in (480, 503):
        retry_after_s = error.retry_after_s or RETRY_AFTER_S
    invite.reject(status, error.message, retry_after_s, warning_line(error))


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
