"""``parley agents``: list them, check their files."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parley.agents.catalog import AgentCatalog
from parley.agents.check import Inspector, Installed, check_agents
from parley.agents.places import places_in
from parley.agents.reading import AgentDefaults
from parley.agents.schema import ToolUse
from parley.cli.rules import stored_tenants
from parley.cli.verb import OK, PROBLEMS, Argument, Verb, settings_of
from parley.core.errors import ParleyError
from parley.core.log import setup_logging
from parley.core.shipped import shipped_folder
from parley.engines.found import find_engines
from parley.settings import Settings
from parley.tools.catalog import ToolCatalog
from parley.tools.premises import Flaw, Premises


def _list(given: argparse.Namespace) -> int:
    agents = AgentCatalog.from_settings(settings_of(given))
    problems = agents.load()
    for agent in agents.all():
        mark = "*" if agent.name == agents.default_name else " "
        whose = f"  tenant {agent.tenant}" if agent.tenant else ""
        print(f"{mark} {agent.name}  {agent.label}{whose}  {agents.file_of(agent) or 'settings'}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return PROBLEMS if problems else OK


def _check(given: argparse.Namespace) -> int:
    settings = settings_of(given)
    return report_agents(given.files or AgentCatalog.from_settings(settings).files(), settings)


def report_agents(files: Sequence[Path], settings: Settings) -> int:
    """Print what is wrong with the files, each with its line."""
    catalog = ToolCatalog()
    installed = Installed(find_engines(), catalog, inspector_for(settings, catalog))
    problems = check_agents(files, AgentDefaults.from_settings(settings), installed)
    for problem in problems:
        print(problem)
    if not problems:
        print(f"agents    {len(files)} checked, all good")
    return PROBLEMS if problems else OK


@dataclass(frozen=True)
class _Inspector:
    """Holds tools against what is set on this machine. It asks nobody."""

    catalog: ToolCatalog
    premises: Premises

    def flaws_of(self, use: ToolUse, folder: Path, owner: str) -> list[Flaw]:
        return self.catalog.flaws_of(use, self.premises, folder=folder, owner=owner)


def inspector_for(settings: Settings, catalog: ToolCatalog) -> Inspector:
    """Says of tools what they lack here. The catalog needs no house."""
    return _Inspector(catalog, _premises(settings))


def _premises(settings: Settings) -> Premises:
    premises = Premises.from_settings(settings)
    if not premises.credentials.has_tenants_own:
        # Most installations: no database need be asked who there is.
        return premises
    return Premises.from_settings(settings, _tenants(settings))


def _tenants(settings: Settings) -> frozenset[str] | None:
    setup_logging("WARNING")
    folders = [settings.agents_folder, shipped_folder()]
    with_agents = frozenset(place.tenant for place in places_in(folders) if place.tenant)
    try:
        return with_agents | asyncio.run(stored_tenants(settings))
    except ParleyError as error:
        print(f"tenants   can't be told, and so not who has TOOL_ values: {error}", file=sys.stderr)
        return None


LIST_AGENTS = Verb(
    ("agents", "list"), "List all agents, with their tenants; * marks default ones.", _list
)
CHECK_AGENTS = Verb(
    ("agents", "check"),
    "Check agents' files: those named, or else all of them.",
    _check,
    takes=(Argument("files", "an agent's file", {"nargs": "*", "type": Path, "metavar": "FILE"}),),
)
