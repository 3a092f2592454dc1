"""``parley agents``: list them, check their files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from parley.agents.catalog import AgentCatalog
from parley.agents.check import Installed, check_agents
from parley.agents.reading import AgentDefaults
from parley.cli.verb import OK, PROBLEMS, Argument, Verb, settings_of
from parley.engines.found import find_engines
from parley.settings import Settings
from parley.tools.catalog import ToolCatalog


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
    installed = Installed(find_engines(), ToolCatalog())
    problems = check_agents(files, AgentDefaults.from_settings(settings), installed)
    for problem in problems:
        print(problem)
    if not problems:
        print(f"agents    {len(files)} checked, all good")
    return PROBLEMS if problems else OK


LIST_AGENTS = Verb(
    ("agents", "list"), "List all agents, with their tenants; * marks default ones.", _list
)
CHECK_AGENTS = Verb(
    ("agents", "check"),
    "Check agents' files: those named, or else all of them.",
    _check,
    takes=(Argument("files", "an agent's file", {"nargs": "*", "type": Path, "metavar": "FILE"}),),
)
