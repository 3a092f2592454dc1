"""The part of JSON Schema that describes a tool's arguments: what is written in it is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from parley.core.registry import did_you_mean
from parley.tools.patterns import PatternProblem, require_pattern, require_patterns

Place = tuple[str | int, ...]

TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
DEEPEST = 12
_SHOWN_LETTERS = 60

_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_CHOICES = ("anyOf", "oneOf", "allOf")
_NOTES = (
    "title", "description", "default", "examples", "example", "deprecated", "readOnly",
    "writeOnly", "$schema", "$id", "$comment", "nullable",
)  # fmt: skip
KNOWN = frozenset(
    {
        *_COUNTS, *_NUMBERS, *_CHOICES, *_NOTES, "type", "properties", "required",
        "additionalProperties", "enum", "const", "pattern", "format", "items", "uniqueItems",
    }
)  # fmt: skip


class SchemaProblem(ValueError):
    """A schema that can't be used; ``place`` is where in it."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


def read_schema(schema: object) -> dict[str, Any]:
    """A tool's parameters, checked: a schema of type object that takes nothing it doesn't name,
    unless it says so. Raises ``SchemaProblem``."""
    if not isinstance(schema, Mapping):
        raise SchemaProblem((), "must be a JSON schema of type object")
    given: dict[str, Any] = dict(cast("Mapping[str, Any]", schema))
    given.setdefault("type", "object")
    if given["type"] != "object":
        raise SchemaProblem(("type",), "must be object: a tool takes named arguments")
    given.setdefault("properties", {})
    given.setdefault("additionalProperties", False)
    _require_schema(given, (), 0)
    try:
        require_patterns(given)
    except PatternProblem as problem:
        raise SchemaProblem(problem.place, str(problem)) from problem
    return given


def _require_schema(schema: object, place: Place, depth: int) -> None:
    if not isinstance(schema, Mapping):
        raise SchemaProblem(place, "must be a schema: a mapping with type, description …")
    if depth > DEEPEST:
        raise SchemaProblem(place, f"is nested more than {DEEPEST} deep")
    fields = cast("Mapping[str, Any]", schema)
    for key, value in fields.items():
        if key in ("$ref", "$defs", "definitions"):
            raise SchemaProblem((*place, key), f"{key} is not followed: write the schema out")
        if key not in KNOWN and not key.startswith("x-"):
            raise SchemaProblem((*place, key), f"{key} is not known. {did_you_mean(key, KNOWN)}")
        check = _KEYWORDS.get(key)
        if check is not None:
            check(value, (*place, key), depth)
    properties = cast("Mapping[str, Any]", fields.get("properties", {}))
    for name in fields.get("required", ()):
        if name not in properties:
            hint = did_you_mean(str(name), properties)
            raise SchemaProblem((*place, "required"), f"{name} is not among properties. {hint}")


def _type(value: object, place: Place, depth: int) -> None:
    names = cast("list[object]", value) if isinstance(value, list) else [value]
    for name in names:
        if name not in TYPES:
            hint = did_you_mean(str(name), TYPES)
            raise SchemaProblem(place, f"{_shown(name)} is no type. {hint}")
    if not names:
        raise SchemaProblem(place, "names no type")


def _named_schemas(value: object, place: Place, depth: int) -> None:
    if not isinstance(value, Mapping):
        raise SchemaProblem(place, "must be a mapping of names to schemas")
    for name, each in cast("Mapping[str, Any]", value).items():
        _require_schema(each, (*place, name), depth + 1)


def _schemas(value: object, place: Place, depth: int) -> None:
    if not isinstance(value, list) or not value:
        raise SchemaProblem(place, "must be a list of schemas")
    for position, each in enumerate(cast("list[object]", value)):
        _require_schema(each, (*place, position), depth + 1)


def _schema_or_bool(value: object, place: Place, depth: int) -> None:
    if not isinstance(value, bool):
        _require_schema(value, place, depth + 1)


def _one_schema(value: object, place: Place, depth: int) -> None:
    _require_schema(value, place, depth + 1)


def _texts(value: object, place: Place, depth: int) -> None:
    listed = cast("list[object]", value) if isinstance(value, list) else [None]
    if not all(isinstance(each, str) for each in listed):
        raise SchemaProblem(place, "must be a list of names")


def _some(value: object, place: Place, depth: int) -> None:
    if not isinstance(value, list) or not value:
        raise SchemaProblem(place, "must be a list of the values that are allowed")


def _count(value: object, place: Place, depth: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SchemaProblem(place, "must be a whole number from 0")


def _number(value: object, place: Place, depth: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SchemaProblem(place, "must be a number")
    if place[-1] == "multipleOf" and value <= 0:
        raise SchemaProblem(place, "must be above 0")


def _flag(value: object, place: Place, depth: int) -> None:
    if not isinstance(value, bool):
        raise SchemaProblem(place, "must be true or false")


def _text(value: object, place: Place, depth: int) -> None:
    if not isinstance(value, str):
        raise SchemaProblem(place, "must be text")


def _expression(value: object, place: Place, depth: int) -> None:
    _text(value, place, depth)
    try:
        require_pattern(cast(str, value))
    except PatternProblem as problem:
        raise SchemaProblem(place, str(problem)) from problem


_KEYWORDS: Mapping[str, Callable[[object, Place, int], None]] = {
    "type": _type,
    "properties": _named_schemas,
    "required": _texts,
    "additionalProperties": _schema_or_bool,
    "enum": _some,
    "items": _one_schema,
    "uniqueItems": _flag,
    "pattern": _expression,
    "format": _text,
    "description": _text,
    **dict.fromkeys(_COUNTS, _count),
    **dict.fromkeys(_NUMBERS, _number),
    **dict.fromkeys(_CHOICES, _schemas),
}


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}…"
