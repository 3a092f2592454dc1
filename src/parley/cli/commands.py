"""The verbs of ``parley``, one file per family, put together; parses what was typed, runs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from parley import __version__
from parley.cli.agents import CHECK_AGENTS, LIST_AGENTS
from parley.cli.call import CALL
from parley.cli.db import CURRENT_DB, UPGRADE_DB
from parley.cli.engines import ENGINE_VOICES, ENGINES
from parley.cli.keys import CREATE_KEY, LIST_KEYS, REVOKE_KEY, ROTATE_KEY
from parley.cli.models import LIST_MODELS, PULL_MODELS, REMOVE_MODELS
from parley.cli.serving import CHECK, SERVE, VERSION
from parley.cli.tenants import LIST_TENANTS, SET_TENANT, TENANT_SECRET
from parley.cli.tools import CALL_TOOL, LIST_TOOLS, TOOL_RUNS
from parley.cli.verb import CANNOT_START, OK, Verb
from parley.core.errors import ParleyError
from parley.core.log import quiet_until_set_up
from parley.settings import setting_facts

_SHORT_FLAGS = {"server_host": "--host", "server_port": "--port"}

FAMILIES = {
    "agents": "List or check the agents.",
    "models": "List, fetch or remove the models of engines.",
    "keys": "Make, list, revoke or rotate keys.",
    "tenants": "List tenants, set their quotas, or show what they sign with.",
    "tools": "List tools, try one, or see what they did.",
    "db": "Look after the database.",
}

VERBS = (
    SERVE,
    CHECK,
    CALL,
    ENGINES,
    ENGINE_VOICES,
    LIST_MODELS,
    PULL_MODELS,
    REMOVE_MODELS,
    LIST_AGENTS,
    CHECK_AGENTS,
    CREATE_KEY,
    LIST_KEYS,
    REVOKE_KEY,
    ROTATE_KEY,
    LIST_TENANTS,
    SET_TENANT,
    TENANT_SECRET,
    LIST_TOOLS,
    CALL_TOOL,
    TOOL_RUNS,
    UPGRADE_DB,
    CURRENT_DB,
    VERSION,
)


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 (problems found) or 2 (can't start)."""
    quiet_until_set_up()
    given = build_parser().parse_args(argv)
    verb: Verb = given.verb
    try:
        return verb.run(given)
    except ParleyError as error:
        for line in str(error).splitlines():
            print(f"parley: {line}", file=sys.stderr)
        return CANNOT_START
    except BrokenPipeError:
        # Whoever read the output (head, less) has seen enough; Python must not flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def short_flags() -> dict[str, str]:
    """The flags that have a short form, by that form."""
    return {_SHORT_FLAGS[f.field]: f.flag for f in setting_facts() if f.field in _SHORT_FLAGS}


def build_parser() -> argparse.ArgumentParser:
    """The parser; every setting that is no secret is a flag of every verb."""
    parser = argparse.ArgumentParser(prog="parley", description="A self-hosted voice-agent server.")
    parser.add_argument("--version", action="version", version=f"parley {__version__}")
    parsers: dict[tuple[str, ...], argparse.ArgumentParser] = {(): parser}
    groups: dict[tuple[str, ...], Any] = {}
    for verb in VERBS:
        family, name = verb.words[:-1], verb.words[-1]
        if family not in parsers:
            parsers[family] = _group(parsers, groups, ()).add_parser(
                family[0], help=FAMILIES[family[0]], description=FAMILIES[family[0]]
            )
        child = _group(parsers, groups, family).add_parser(
            name, help=verb.says, description=verb.says
        )
        parsers[verb.words] = child
        child.set_defaults(verb=verb)
        for argument in verb.takes:
            child.add_argument(argument.name, help=argument.says, **argument.options)
        if verb.takes_settings:
            _add_setting_flags(child)
    return parser


def _group(
    parsers: dict[tuple[str, ...], argparse.ArgumentParser],
    groups: dict[tuple[str, ...], Any],
    family: tuple[str, ...],
) -> Any:
    """Where the family's commands go. A family that is a command itself needs none of them."""
    if family not in groups:
        is_command = parsers[family].get_default("verb") is not None
        groups[family] = parsers[family].add_subparsers(
            title="commands", metavar="COMMAND", required=not is_command
        )
    return groups[family]


def _add_setting_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings", "They beat the environment, .env and the file.")
    for fact in setting_facts():
        if fact.flag and not fact.planned:
            names = [_SHORT_FLAGS[fact.field]] if fact.field in _SHORT_FLAGS else []
            # A switch may stand alone: --offline is --offline on.
            switch: dict[str, Any] = {"nargs": "?", "const": "on"} if fact.is_switch else {}
            group.add_argument(
                *names,
                fact.flag,
                dest=f"setting_{fact.field}",
                default=argparse.SUPPRESS,
                metavar=fact.field.rpartition("_")[2].upper(),
                help=f"{fact.says} {fact.name}, default: {fact.default}.".replace("%", "%%"),
                **switch,
            )
