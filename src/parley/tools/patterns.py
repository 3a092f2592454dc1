"""Regular expressions that strangers wrote, matched in a time that is known beforehand.

Python's own engine tries again and again where an expression has many ways to fit, for hours if
need be, and the event loop stands still. The one that pydantic brings along, Rust's, goes through
the text once: what it costs is the expression's size times the text's length, and both are bounded
here. It knows neither look-around nor back references, which can't be done in one pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from pydantic_core import SchemaError, SchemaValidator, core_schema

LARGEST = 3000
"""What all expressions of one tool may weigh together: getting them ready takes 50 ms at most."""
MOST_STEPS = 400_000
"""Places times bytes that are worked off for one use of a tool: some milliseconds."""

Place = tuple[str | int, ...]

_REMEMBERED = 256
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WEIGHTS = {**dict.fromkeys("wWpP", 40), **dict.fromkeys("dD", 9)}
_CHOICES = ("anyOf", "oneOf", "allOf")
_VERBOSE = re.compile(r"\?[A-Za-z-]*x")
_TOKEN = re.compile(
    r"""\\(?:[pP][A-Za-z]|.) | \[\^?\]?(?:[^\]\\]++|\\.)*+\]? | (?P<count>\{[^{}]*\})
    | (?P<open>\((?:\?P?<[^>]*+>?|\?[A-Za-z-]*:)?) | (?P<close>\)) | .""",
    re.DOTALL | re.VERBOSE,
)


class PatternProblem(ValueError):
    """An expression that can't be used, and why; ``place`` is where in its schema."""

    def __init__(self, message: str, place: Place = ("pattern",)) -> None:
        super().__init__(message)
        self.place = place


def require_pattern(source: str) -> None:
    """Raises ``PatternProblem`` for what is too large to look at any further."""
    if len(source) > LARGEST:
        raise PatternProblem(f"is {_too_large(len(source))}")
    if _is_verbose(source):
        raise PatternProblem("is a regular expression with the flag x, which is not known")
    if weight_of(source) > LARGEST:
        raise PatternProblem(f"is {_too_large(weight_of(source))}")


def require_patterns(schema: Mapping[str, Any]) -> None:
    """Gets a schema ready whose expressions have been looked at one by one. Raises
    ``PatternProblem``."""
    found = list(_sources(schema, ()))
    weight = sum(weight_of(source) for _, source in found)
    if weight > LARGEST:
        raise PatternProblem(f"is, all taken together, {_too_large(weight)}")
    for place, source in found:
        try:
            _compiled(source)
        except SchemaError as error:
            why = str(error).strip().splitlines()[-1].removeprefix("error: ")
            message = f"is a broken regular expression, or one too hard: {why}"
            raise PatternProblem(message, place) from error


def has_pattern(source: str, text: str) -> bool:
    """Whether the expression fits some part of the text."""
    return _compiled(source).isinstance_python(text)


def steps(schema: Mapping[str, Any], value: Any) -> int:
    """What it costs to hold the value against the schema's expressions."""
    found = sum(steps(each, value) for key in _CHOICES for each in schema.get(key, ()))
    if isinstance(value, str) and "pattern" in schema:
        return found + size_of(schema["pattern"]) * len(value.encode(errors="replace"))
    if isinstance(value, list):
        items = schema.get("items", {})
        return found + sum(steps(items, each) for each in cast("list[Any]", value))
    if isinstance(value, Mapping):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, each in cast("Mapping[str, Any]", value).items():
            shape = known.get(name, others)
            if isinstance(shape, Mapping):
                found += steps(cast("Mapping[str, Any]", shape), each)
    return found


@lru_cache(_REMEMBERED)
def size_of(source: str) -> int:
    """How many places it has, written out: ``a{9}`` has nine. What is broken has any number."""
    return _total(source, lambda token: 1)


@lru_cache(_REMEMBERED)
def weight_of(source: str) -> int:
    """The same, by what it costs to get ready: all the world's letters weigh more than one."""
    return _total(source, _weight)


def _weight(token: str) -> int:
    return 1 + sum(_WEIGHTS.get(each, 0) for each in _ESCAPED.findall(token))


def _total(source: str, weigh: Callable[[str], int]) -> int:
    totals, last = [0], 0
    for token in _TOKEN.finditer(source):
        if token["count"]:
            # Of \x{41}, too, which makes it no smaller.
            counts = [int(each[:9]) for each in re.findall("[0-9]+", token["count"])]
            more = last * (max([1, *counts]) - 1)
            totals[-1] += more
            last += more
        elif token["open"]:
            totals.append(1)
        elif token["close"] and len(totals) > 1:
            last = totals.pop()
            totals[-1] += last
        else:
            last = weigh(token[0])
            totals[-1] += last
    return sum(totals)


@lru_cache(_REMEMBERED)
def _compiled(source: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=source, regex_engine="rust-regex"))


def _is_verbose(source: str) -> bool:
    """Whether blanks and comments in it mean nothing: then its size would be another."""
    return any(
        _VERBOSE.match(source, token.start() + 1) is not None
        for token in _TOKEN.finditer(source)
        if token["open"] and not token["open"].startswith(("(?P<", "(?<"))
    )


def _sources(schema: object, place: Place) -> Iterator[tuple[Place, str]]:
    if not isinstance(schema, Mapping):
        return
    fields = cast("Mapping[str, Any]", schema)
    if "pattern" in fields:
        yield (*place, "pattern"), fields["pattern"]
    for name, each in fields.get("properties", {}).items():
        yield from _sources(each, (*place, "properties", name))
    for key in ("items", "additionalProperties"):
        yield from _sources(fields.get(key), (*place, key))
    for key in _CHOICES:
        for position, each in enumerate(fields.get(key, ())):
            yield from _sources(each, (*place, key, position))


def _too_large(weight: int) -> str:
    return f"too large ({weight} of at most {LARGEST}): use maxLength instead of large counts"
