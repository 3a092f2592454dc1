"""The ``parley`` command: serve, check, engines, agents, version."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from parley import __version__
from parley.agents.catalog import AgentCatalog
from parley.agents.check import Installed, check_agents
from parley.agents.reading import AgentDefaults
from parley.core.errors import ParleyError
from parley.core.log import setup_logging
from parley.engines.catalog import EngineCatalog
from parley.engines.found import find_engines
from parley.settings import Settings, load_settings, setting_facts
from parley.tools.catalog import ToolCatalog

OK, PROBLEMS, CANNOT_START, INTERRUPTED = 0, 1, 2, 130

_SHORT_FLAGS = {"server_host": "--host", "server_port": "--port"}


@dataclass(frozen=True)
class Verb:
    """One thing that ``parley`` can do. ``words`` is how it is typed."""

    words: tuple[str, ...]
    says: str
    run: Callable[[argparse.Namespace], int]
    takes_settings: bool = True
    takes_files: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 (problems found), 2 (can't start) or 130."""
    given = build_parser().parse_args(argv)
    verb: Verb = given.verb
    try:
        return verb.run(given)
    except ParleyError as error:
        for line in str(error).splitlines():
            print(f"parley: {line}", file=sys.stderr)
        return CANNOT_START
    except KeyboardInterrupt:
        return INTERRUPTED


def short_flags() -> dict[str, str]:
    """The flags that have a short form, by that form."""
    return {_SHORT_FLAGS[f.field]: f.flag for f in setting_facts() if f.field in _SHORT_FLAGS}


def build_parser() -> argparse.ArgumentParser:
    """The parser; every setting that is no secret is a flag of every verb."""
    parser = argparse.ArgumentParser(prog="parley", description="A self-hosted voice-agent server.")
    parser.add_argument("--version", action="version", version=f"parley {__version__}")
    groups: dict[tuple[str, ...], Any] = {}
    groups[()] = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for verb in VERBS:
        family = verb.words[:-1]
        if family not in groups:
            says = FAMILIES[family[0]]
            parent = groups[()].add_parser(family[0], help=says, description=says)
            groups[family] = parent.add_subparsers(metavar="COMMAND", required=True)
        child = groups[family].add_parser(verb.words[-1], help=verb.says, description=verb.says)
        child.set_defaults(verb=verb)
        if verb.takes_files:
            child.add_argument("files", nargs="*", type=Path, metavar="FILE")
        if verb.takes_settings:
            _add_setting_flags(child)
    return parser


def _add_setting_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings", "They beat the environment, .env and the file.")
    for fact in setting_facts():
        if fact.flag and not fact.planned:
            names = [_SHORT_FLAGS[fact.field]] if fact.field in _SHORT_FLAGS else []
            group.add_argument(
                *names,
                fact.flag,
                dest=f"setting_{fact.field}",
                default=argparse.SUPPRESS,
                metavar=fact.field.rpartition("_")[2].upper(),
                help=f"{fact.says} {fact.name}, default: {fact.default}.".replace("%", "%%"),
            )


def _settings(given: argparse.Namespace) -> Settings:
    start = "setting_"
    return load_settings(
        {
            name.removeprefix(start): cast(str, value)
            for name, value in vars(given).items()
            if name.startswith(start)
        }
    )


# ── verbs ────────────────────────────────────────────────────────────────────────────────────


def _serve(given: argparse.Namespace) -> int:
    settings = _settings(given)
    settings.require_safe_listener()
    from parley.app import serve

    return serve(settings)


def _version(given: argparse.Namespace) -> int:
    print(__version__)
    return OK


def _check(given: argparse.Namespace) -> int:
    settings = _settings(given)
    settings.require_safe_listener()
    print(f"settings  {len(settings.model_fields_set)} set, all good")
    found = _report_agents(AgentCatalog.from_settings(settings).files(), settings)
    return max(found, asyncio.run(_show_engines(settings)))


def _engines(given: argparse.Namespace) -> int:
    return asyncio.run(_show_engines(_settings(given)))


def _list_agents(given: argparse.Namespace) -> int:
    agents = AgentCatalog.from_settings(_settings(given))
    problems = agents.load()
    for agent in agents.all():
        mark = "*" if agent.name == agents.default_name else " "
        print(f"{mark} {agent.name}  {agent.label}  {agents.file_of(agent.name) or 'settings'}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return PROBLEMS if problems else OK


def _check_agents(given: argparse.Namespace) -> int:
    settings = _settings(given)
    return _report_agents(given.files or AgentCatalog.from_settings(settings).files(), settings)


def _report_agents(files: Sequence[Path], settings: Settings) -> int:
    installed = Installed(find_engines(), ToolCatalog())
    problems = check_agents(files, AgentDefaults.from_settings(settings), installed)
    for problem in problems:
        print(problem)
    if not problems:
        print(f"agents    {len(files)} checked, all good")
    return PROBLEMS if problems else OK


async def _show_engines(settings: Settings) -> int:
    """Choose as a start would, for every agent, and print what came of it."""
    setup_logging("WARNING")
    agents = AgentCatalog.from_settings(settings)
    agents.load()
    catalog = EngineCatalog.from_settings(settings)
    failures: dict[str, None] = {}
    try:
        for agent in agents.all():
            for kind, wishes in agent.engines.wishes().items():
                try:
                    await catalog.choose(kind, wishes)
                except ParleyError as error:
                    failures[str(error)] = None
        print(catalog.table())
    finally:
        await catalog.close()
    for failure in failures:
        print(failure, file=sys.stderr)
    return PROBLEMS if failures else OK


FAMILIES = {"agents": "List or check the agents."}

VERBS = (
    Verb(("serve",), "Start the server.", _serve),
    Verb(("check",), "Check settings, agents and engines without starting.", _check),
    Verb(("engines",), "Show which engines would serve, and why.", _engines),
    Verb(("agents", "list"), "List the agents; * marks the default one.", _list_agents),
    Verb(
        ("agents", "check"),
        "Check agents' files: those named, or else all of them.",
        _check_agents,
        takes_files=True,
    ),
    Verb(("version",), "Print the version.", _version, takes_settings=False),
)
