"""What ``parley check`` says of the rules for telephone calls: whether each names somebody."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from dataclasses import dataclass

from parley.agents.catalog import AgentCatalog
from parley.agents.schema import Agent
from parley.cli.verb import OK, PROBLEMS
from parley.core.errors import BadAgent, BadSettings
from parley.settings import Settings
from parley.store.opening import open_store


@dataclass(frozen=True)
class _Known:
    """Who could answer, without a house that is open."""

    agents: AgentCatalog
    tenants: Set[str]

    def agent(self, name: str, tenant: str) -> Agent:
        return self.agents.get(name, tenant)

    def has_tenant(self, name: str) -> bool:
        return name in self.tenants or self.agents.has_tenant(name)


def report_rules(settings: Settings) -> int:
    """Print which rules of ``PARLEY_SIP_AGENTS`` name an agent or a tenant that there isn't."""
    rules = settings.sip_agents
    if not rules:
        return OK
    # All of the telephone comes with it, and most installations have none.
    from parley.transports.sip.who_answers import require_agents

    agents = AgentCatalog.from_settings(settings)
    try:
        agents.load()
    except BadAgent:
        # Whoever checked the agents has said so.
        return PROBLEMS
    names_tenants = any(rule.tenant for rule in rules)
    known = _Known(agents, asyncio.run(stored_tenants(settings)) if names_tenants else frozenset())
    problems = 0
    for rule in rules:
        try:
            require_agents([rule], known)
        except BadSettings as error:
            problems += 1
            print(error)
    if not problems:
        print(f"rules     {len(rules)} checked, all good")
    return PROBLEMS if problems else OK


async def stored_tenants(settings: Settings) -> frozenset[str]:
    """Those that the database knows."""
    async with open_store(settings) as store:
        return frozenset(tenant.name for tenant in await store.tenants.all())
