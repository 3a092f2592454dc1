"""The mistakes found in a script: collected, so that people see all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from parley.core import spelling
from parley.core.errors import BadScript
from parley.core.registry import did_you_mean
from parley.core.yaml_lines import LineOf

Place = Sequence[Any]
"""Where in the file: ``("intents", 2, "say", 0)``."""

_SHOWN = 12


class Problems:
    """What is wrong in one file."""

    def __init__(self, file: Path, line_of: LineOf) -> None:
        self._file = file
        self._line_of = line_of
        self._found: list[tuple[int, str]] = []

    def add(self, place: Place, what: str) -> None:
        problem = (self._line_of(place), what)
        if problem not in self._found:
            self._found.append(problem)

    def add_all(self, error: ValidationError, form: type[BaseModel]) -> None:
        """Everything that pydantic found."""
        found = error.errors()
        for details in found:
            place = details["loc"]
            inside = [each for each in found if each["loc"][: len(place)] == place]
            # A list whose entries are all wrong is called empty besides.
            if details["type"] != "too_short" or len(inside) == 1:
                self.add(place, _in_words(details, form))

    def raise_if_any(self) -> None:
        """Raise ``BadScript`` with every mistake, in the file's order."""
        if not self._found:
            return
        lines = [f"line {line}: {what}" for line, what in sorted(self._found)]
        if len(lines) == 1:
            raise BadScript(f"{self._file}, {lines[0]}")
        more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        raise BadScript("\n  ".join([f"{self._file} has mistakes:", *lines[:_SHOWN], *more]))


def _in_words(details: ErrorDetails, form: type[BaseModel]) -> str:
    key = next((part for part in reversed(details["loc"]) if isinstance(part, str)), "the file")
    match details["type"]:
        case "extra_forbidden":
            known = _keys_beside(form, details["loc"])
            return f'"{key}" is not known here. {did_you_mean(key, known)}'
        case "missing":
            return f'"{key}" is missing here: add it.'
        case "string_type" if isinstance(details["input"], bool | int | float):
            typed = str(details["input"]).lower()
            return f'{key}: put "{typed}" in quotes: it must be text.'
        case "string_type":
            return f"{key}: this must be text."
        case "string_too_short":
            return f"{key}: this is empty; write some text or leave {key} out."
        case "too_short":
            return f"{key}: at least one is needed here."
        case spelling.MISSPELLED:
            return f'"{details["input"]}" is no name: use {details.get("ctx", {})["takes"]}.'
        case "literal_error":
            expected = str(details.get("ctx", {}).get("expected", "")).replace("'', ", "")
            return f'{key}: "{details["input"]}" is not known; write {expected}.'
        case "unquoted":
            return f"{key}: {details['msg']}."
        case _:
            return f"{key}: {details['msg']}."


def _keys_beside(form: type[BaseModel], place: Place) -> list[str]:
    """The keys that may stand where a wrong one does."""
    here: type[BaseModel] = form
    for part in place[:-1]:
        field = next(
            (each for name, each in here.model_fields.items() if part in (name, each.alias)), None
        )
        inner = None if field is None else _model_inside(field.annotation)
        here = inner or here
    return [field.alias or name for name, field in here.model_fields.items()]


def _model_inside(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_inside(argument)
        if found is not None:
            return found
    return None
