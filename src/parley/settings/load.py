"""Reading the settings. What beats what: flag, environment, ``.env``, file, default."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from parley.core.errors import BadSettings
from parley.core.registry import did_you_mean
from parley.settings.describe import SettingFact, setting_facts
from parley.settings.model import Settings

ENV_FILE = Path(".env")
OUR_PREFIX = "PARLEY_"
TOOL_PREFIX = "TOOL_"
_SHOWN_CHARACTERS = 60


def load_settings(flags: Mapping[str, Any] | None = None, *, env_file: Path = ENV_FILE) -> Settings:
    """Read every setting once.

    ``flags`` are by field name and beat everything else. Raises ``BadSettings`` with one line
    per thing that is wrong.
    """
    _refuse_misspelt(_names_in(env_file), str(env_file))
    _refuse_misspelt(os.environ, "the environment")
    given: dict[str, Any] = {**(flags or {}), "_env_file": env_file}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise BadSettings("\n".join(_complaints(error))) from error


def engine_values(
    settings: Settings, names: Iterable[str], *, env_file: Path = ENV_FILE
) -> dict[str, Any]:
    """What engines may be handed: the value of each of ``names`` that was set, secrets in clear.

    A name that is no setting of ours (another package's engine brought it) is looked up in the
    environment and in ``.env``.
    """
    ours = {fact.name for fact in setting_facts()}
    explicit = settings.explicit()
    theirs = {**dotenv_values(env_file), **os.environ}
    found: dict[str, Any] = {}
    for name in names:
        value = explicit.get(name) if name in ours else theirs.get(name)
        if value not in (None, ""):
            found[name] = value
    return found


def tool_values(*, env_file: Path = ENV_FILE) -> dict[str, str]:
    """What tools may be told of: the names of the environment and of ``.env`` that say so."""
    values = {**dotenv_values(env_file), **os.environ}
    return {name: value for name, value in values.items() if value and name.startswith(TOOL_PREFIX)}


def _names_in(env_file: Path) -> list[str]:
    """The names that a ``.env`` file sets; a line that can't be read is an error."""
    if not env_file.is_file():
        return []
    try:
        with env_file.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(
            f"{env_file} can't be read: {error}.", hint="It must be a UTF-8 text file."
        ) from error
    for binding in bindings:
        if binding.error:
            raise BadSettings(
                f"{env_file}:{binding.original.line}: can't be read: "
                f"{binding.original.string.strip().split('=')[0][:_SHOWN_CHARACTERS]}",
                hint="Lines look like NAME=value.",
            )
    return [binding.key for binding in bindings if binding.key]


def _refuse_misspelt(names: Iterable[str], where: str) -> None:
    known = {fact.name for fact in setting_facts()}
    ours = [name for name in known if name.startswith(OUR_PREFIX)]
    for name in sorted(names):
        if name.upper().startswith(OUR_PREFIX) and name not in known:
            raise BadSettings(f"{name} in {where} is not a setting.", hint=did_you_mean(name, ours))


def _complaints(error: ValidationError) -> list[str]:
    """One line per setting that is wrong."""
    facts: dict[str, SettingFact] = {}
    for fact in setting_facts():
        facts[fact.name] = facts[fact.field] = fact
    lines: dict[str, str] = {}
    for details in error.errors():
        fact = facts[str(details["loc"][0])]
        lines.setdefault(fact.name, _complaint(fact, details))
    return list(lines.values())


def _complaint(fact: SettingFact, details: ErrorDetails) -> str:
    value = str(details["input"])
    if len(value) > _SHOWN_CHARACTERS:
        value = value[:_SHOWN_CHARACTERS] + "…"
    what = fact.name if fact.hides_value else f"{fact.name}={value}"
    reason = str(details.get("ctx", {}).get("error", ""))
    why = f" ({reason})" if reason else ""
    return f"{what} is not allowed{why}: it takes {fact.allowed}."
