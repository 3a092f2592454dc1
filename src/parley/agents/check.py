"""Checks agents' files against what this installation can do, without running anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from parley.agents.places import tenant_of
from parley.agents.reading import AgentDefaults, Problem, Reading, read_agent
from parley.agents.schema import Agent, ToolUse
from parley.core.errors import ParleyError
from parley.core.registry import did_you_mean
from parley.engines.found import FoundEngines
from parley.engines.options import option_problem
from parley.engines.spec import Kind
from parley.engines.wish import AUTO, EngineWish
from parley.tools.rules import stray_rule
from parley.tools.spec import Tool


class Toolbox(Protocol):
    """Makes tools; raises ``ParleyError`` for a name or options that it doesn't know."""

    def tools_for(self, wanted: Sequence[ToolUse]) -> Sequence[Tool]: ...


class Flaw(Protocol):
    """Why a tool won't work here; ``place`` is where in its options."""

    @property
    def place(self) -> tuple[str | int, ...]: ...

    @property
    def message(self) -> str: ...


class Inspector(Protocol):
    """Knows what tools need that is not here."""

    def flaws_of(self, use: ToolUse, folder: Path, owner: str) -> Sequence[Flaw]: ...


@dataclass(frozen=True)
class Installed:
    """What agents may name on this machine. Without an ``inspector`` it is not asked whether what
    tools need is here."""

    engines: FoundEngines
    tools: Toolbox
    inspector: Inspector | None = None


def check_agents(
    files: Iterable[Path], defaults: AgentDefaults, installed: Installed
) -> list[Problem]:
    """Everything that is wrong with these files, in their order and that of their lines."""
    problems: list[Problem] = []
    for file in files:
        reading = read_agent(file, defaults, tenant_of(file))
        problems.extend(check_reading(reading, installed))
    return problems


def check_reading(reading: Reading, installed: Installed) -> list[Problem]:
    """What is wrong with one file: how it is written, and what it names."""
    problems = list(reading.problems)
    if reading.agent:
        for kind, wishes in reading.agent.engines.wishes().items():
            own = [wish for wish in wishes if wish.by == str(reading.file)]
            problems += _engine_problems(reading, kind, own, installed.engines)
        problems += _tool_problems(reading, reading.agent, installed)
    return sorted(problems, key=_line)


def _engine_problems(
    reading: Reading, kind: Kind, wishes: Sequence[EngineWish], found: FoundEngines
) -> list[Problem]:
    problems: list[Problem] = []
    for position, wish in enumerate(wishes):
        place = ("engines", kind, position)
        spec = found.of(kind).get(wish.name)
        if spec is None:
            if wish.name != AUTO:
                hint = did_you_mean(wish.name, [AUTO, *found.of(kind)])
                message = f"There is no {kind} engine {wish.name}. {hint}"
                problems.append(reading.problem_at((*place, "engine"), message))
            continue
        try:
            spec.options.model_validate(dict(wish.options))
        except ValidationError as error:
            for details in error.errors():
                # What the file leaves out may come from a setting.
                if details["type"] != "missing":
                    there = (*place, *details["loc"])
                    problems.append(reading.problem_at(there, option_problem(spec, details)))
    return problems


def _tool_problems(reading: Reading, agent: Agent, installed: Installed) -> list[Problem]:
    problems: list[Problem] = []
    uses, tools = agent.tools, installed.tools
    for position, use in enumerate(uses):
        try:
            tools.tools_for([use])
        except ParleyError as error:
            place = ("tools", position, use.name, *_place_in_options(error))
            problems.append(reading.problem_at(place, str(error)))
        else:
            problems += _flaws(reading, agent, position, installed.inspector)
    if problems:
        return problems
    # Each is right by itself; together they may still be too many.
    try:
        made = tools.tools_for(uses)
    except ParleyError as error:
        return [reading.problem_at(("tools",), str(error))]
    stray = stray_rule(made, agent.tool_rules, [use.name for use in uses])
    return [reading.problem_at(("tool_rules",), stray)] if stray else []


def _flaws(
    reading: Reading, agent: Agent, position: int, inspector: Inspector | None
) -> list[Problem]:
    """What keeps a tool that is written well from working here."""
    if inspector is None:
        return []
    use = agent.tools[position]
    found = inspector.flaws_of(use, reading.file.parent, agent.tenant)
    return [
        reading.problem_at(("tools", position, use.name, *flaw.place), f"{use.name}: {_said(flaw)}")
        for flaw in found
    ]


def _said(flaw: Flaw) -> str:
    where = ".".join(str(part) for part in flaw.place)
    return f"{where}: {flaw.message}" if where else flaw.message


def _place_in_options(error: ParleyError) -> tuple[Any, ...]:
    """Where in a tool's options the mistake is, as far as that is known."""
    if not isinstance(error.__cause__, ValidationError):
        return ()
    details = error.__cause__.errors()[0]
    return (*details["loc"], *details.get("ctx", {}).get("place", ()))


def _line(problem: Problem) -> int:
    return problem.line
