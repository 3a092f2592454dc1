"""One agent's file becomes an agent, or a list of what is wrong with it and where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from parley.agents.schema import Agent
from parley.core.registry import did_you_mean
from parley.core.yaml_lines import LineOf, YamlProblem, load_yaml
from parley.engines.spec import Kind
from parley.engines.wish import Wishes, read_wishes
from parley.settings import Settings

_SHOWN_CHARACTERS = 40
BY_PLACE = ("name", "tenant")
"""What an agent has from where its file is, and not from what that says."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class AgentDefaults:
    """What settings say of agents whose files are silent.

    ``instructions`` replaces those of the agent ``name``, which answers when a call names none;
    with ``must_exist`` somebody chose that name, so that a file must be there for it.
    """

    name: str = "receptionist"
    language: str = "en"
    instructions: str = ""
    must_exist: bool = False
    engines: Mapping[Kind, Wishes] = field(default_factory=dict[Kind, Wishes])

    @classmethod
    def from_settings(cls, settings: Settings) -> AgentDefaults:
        return cls(
            name=settings.agent,
            language=settings.stt_language,
            instructions=settings.system_instruction,
            must_exist="agent" in settings.model_fields_set,
            engines={
                "stt": read_wishes(settings.stt, by="PARLEY_STT"),
                "llm": read_wishes(settings.llm, by="PARLEY_LLM"),
                "tts": read_wishes(settings.tts, by="PARLEY_TTS"),
            },
        )

    def agent(self) -> Agent:
        """The default agent when no file describes it."""
        filled = self.fill({}, is_default=True)
        return Agent.model_validate(filled | {"name": self.name})

    def fill(self, data: Mapping[str, Any], *, is_default: bool) -> dict[str, Any]:
        """Put the settings where an agent's file says nothing."""
        filled: dict[str, Any] = {"language": self.language, **data}
        own = filled.get("engines", {})
        if isinstance(own, dict):
            filled["engines"] = {**self.engines, **cast(dict[str, Any], own)}
        if self.instructions and is_default:
            filled["instructions"] = self.instructions
        return filled


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file; ``line`` 0 means the whole of it."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.message}"
            if self.line
            else (f"{self.file}: {self.message}")
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading one file gave: an agent, or problems."""

    file: Path
    agent: Agent | None
    problems: tuple[Problem, ...]
    line_of: LineOf

    def problem_at(self, place: Sequence[Any], message: str) -> Problem:
        return Problem(self.file, self.line_of(place), message)


def read_agent(file: Path, defaults: AgentDefaults, tenant: str = "") -> Reading:
    """Read one agent's file; nothing that is wrong with it raises. ``tenant`` is whose it is."""
    try:
        data, line_of = load_yaml(file)
    except YamlProblem as error:
        return _unreadable(file, error.line, f"{error.message} {error.hint}".strip())
    except OSError as error:
        return _unreadable(file, 0, f"can't be read ({error.strerror}).")
    if not _NAME.fullmatch(file.stem):
        return _unreadable(file, 0, "A name holds letters, digits, - and _, nothing else.")
    if not isinstance(data, dict) or not data:
        return _unreadable(file, 1, "An agent's file holds lines such as greeting: Hello.")
    given = {str(key): value for key, value in cast(dict[Any, Any], data).items()}
    for key, message in (
        ("name", f"An agent's name is its file's name, {file.stem}. What people see is title."),
        ("tenant", "An agent is its tenant's by the folder that it is in: tenants/NAME."),
    ):
        if key in given:
            return Reading(file, None, (Problem(file, line_of([key]), message),), line_of)
    filled = defaults.fill(given, is_default=not tenant and file.stem == defaults.name)
    whose = {"name": file.stem, "tenant": tenant}
    try:
        agent = Agent.model_validate(filled | whose, context={"by": str(file)})
    except ValidationError as error:
        problems = tuple(
            Problem(file, line_of(details["loc"]), _in_words(details)) for details in error.errors()
        )
        return Reading(file, None, tuple(sorted(problems, key=_line)), line_of)
    return Reading(file, agent, (), line_of)


def _unreadable(file: Path, line: int, message: str) -> Reading:
    return Reading(file, None, (Problem(file, line, message),), _first_line)


def _first_line(place: Sequence[Any]) -> int:
    return 1


def _line(problem: Problem) -> int:
    return problem.line


def _in_words(details: ErrorDetails) -> str:
    """Pydantic's error, in the words of whoever wrote the file."""
    place = [str(part) for part in details["loc"]]
    context = details.get("ctx", {})
    if details["type"] == "extra_forbidden":
        where = f" in {'.'.join(place[:-1])}" if place[:-1] else ""
        return f"{place[-1]}{where} is not known. {did_you_mean(place[-1], _keys(place[:-1]))}"
    if details["type"] == "value_error":
        allowed = str(context["error"])
    elif details["type"] == "literal_error":
        allowed = f"takes {context['expected']}"
    else:
        allowed = (
            details["msg"].replace("Input should be", "must be").replace("String should", "must")
        )
    return f"{'.'.join(place)}: {allowed}, not {_shown(details['input'])}."


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list like this"
    text = "nothing" if value is None or value == "" else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _keys(place: Sequence[str]) -> list[str]:
    """The keys that are known at a place of the file."""
    model: type[BaseModel] = Agent
    for part in place:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not isinstance(inner, type) or not issubclass(inner, BaseModel):
            return []
        model = inner
    return [key for key in model.model_fields if model is not Agent or key not in BY_PLACE]
