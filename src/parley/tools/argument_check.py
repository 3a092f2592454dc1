"""Holds what a model passes to a tool against the tool's schema, and says what is wrong."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from functools import partial
from typing import Any, cast

from parley.core.errors import ToolFailed
from parley.core.spoken import spoken_list
from parley.tools.masking import is_secret
from parley.tools.patterns import MOST_STEPS, has_pattern, steps

Schema = Mapping[str, Any]

_SHOWN_LETTERS = 60
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# With more letters the dots of a long one could be tried for seconds.
_LONGEST_MAIL = 320
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")


def checked_arguments(schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as they are sent. Raises ``ToolFailed`` with what the model must mend.

    Models send null for nothing: where nothing is allowed to be null it is left out.
    """
    properties = cast("Mapping[str, Any]", schema.get("properties", {}))
    required = schema.get("required", ())
    arguments = {
        name: value
        for name, value in given.items()
        if value is not None or name in required or _allows_null(properties.get(name, {}))
    }
    if steps(schema, arguments) > MOST_STEPS:
        raise ToolFailed("The tool's own patterns are too large to be held against so long a text.")
    if problem := problem_of(schema, arguments):
        raise ToolFailed(problem)
    try:
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise ToolFailed("An argument holds something that can't be sent.") from error
    return arguments


def problem_of(schema: Schema, value: Any, name: str = "") -> str:
    """One sentence on the first thing that is wrong with the value, or ""."""
    if problem := _wrong_type(schema, value, name):
        return problem
    for check in _CHECKS:
        if problem := check(schema, value, name):
            return problem
    return _wrong_choice(schema, value, name)


def _allows_null(schema: Schema) -> bool:
    return schema.get("nullable") is True or not _wrong_type(schema, None, "")


def _wrong_type(schema: Schema, value: Any, name: str) -> str:
    kind = schema.get("type")
    if kind is None or (value is None and schema.get("nullable") is True):
        return ""
    kinds = cast("list[str]", kind if isinstance(kind, list) else [kind])
    if any(_IS[each](value) for each in kinds):
        return ""
    wanted = " or ".join(_IN_WORDS[each] for each in kinds)
    return f"{name or 'The value'} must be {wanted}, not {_told(schema, value, name)}."


def _wrong_fixed(schema: Schema, value: Any, name: str) -> str:
    if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
        known = ", ".join(str(each) for each in schema["enum"])
        return f"{name} must be one of {known}, not {_told(schema, value, name)}."
    if "const" in schema and not _same(value, schema["const"]):
        return f"{name} must be {schema['const']}, not {_told(schema, value, name)}."
    return ""


def _wrong_text(schema: Schema, value: Any, name: str) -> str:
    if not isinstance(value, str):
        return ""
    if len(value) < schema.get("minLength", 0):
        return f"{name} is too short: at least {schema['minLength']} letters."
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        return f"{name} is too long: at most {schema['maxLength']} letters."
    form = _FORMS.get(schema.get("format", ""))
    if form is not None and not form[0](value):
        return f"{name} must be {form[1]}, not {_told(schema, value, name)}."
    if "pattern" in schema and not has_pattern(schema["pattern"], value):
        says = schema.get("description", f"of the form {schema['pattern']}")
        return f"{name} must be as described ({says}), not {_told(schema, value, name)}."
    return ""


def _wrong_number(schema: Schema, value: Any, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    limits: tuple[tuple[str, bool, str], ...] = (
        ("minimum", value < schema.get("minimum", value), "at least"),
        ("maximum", value > schema.get("maximum", value), "at most"),
        ("exclusiveMinimum", value <= schema.get("exclusiveMinimum", value - 1), "above"),
        ("exclusiveMaximum", value >= schema.get("exclusiveMaximum", value + 1), "below"),
    )
    for key, is_wrong, words in limits:
        if key in schema and is_wrong:
            return f"{name} must be {words} {schema[key]}, not {_told(schema, value, name)}."
    step = schema.get("multipleOf")
    if step and not _is_multiple(value, step):
        return f"{name} must be a multiple of {step}, not {_told(schema, value, name)}."
    return ""


def _is_multiple(value: float, step: float) -> bool:
    try:
        times = value / step
        # Decimal steps (0.1) are no binary fractions.
        return abs(times - round(times)) <= 1e-9
    except (OverflowError, ValueError):
        # Endless, no number at all, or beyond all counting.
        return False


def _wrong_list(schema: Schema, value: Any, name: str) -> str:
    if not isinstance(value, list):
        return ""
    items = cast("list[Any]", value)
    if len(items) < schema.get("minItems", 0):
        return f"{name} needs at least {schema['minItems']} items."
    if "maxItems" in schema and len(items) > schema["maxItems"]:
        return f"{name} may have at most {schema['maxItems']} items."
    if schema.get("uniqueItems") and len({_key(each) for each in items}) < len(items):
        return f"{name} holds the same thing twice."
    for place, each in enumerate(items):
        if problem := problem_of(schema.get("items", {}), each, f"{name}[{place}]"):
            return problem
    return ""


def _wrong_object(schema: Schema, value: Any, name: str) -> str:
    if not isinstance(value, Mapping):
        return ""
    fields = cast("Mapping[str, Any]", value)
    properties = cast("Mapping[str, Any]", schema.get("properties", {}))
    for each in schema.get("required", ()):
        if each not in fields:
            return f"{_inside(name, each)} is missing{_about(properties.get(each, {}))}."
    if len(fields) < schema.get("minProperties", 0):
        return f"{name or 'It'} needs at least {schema['minProperties']} fields."
    if "maxProperties" in schema and len(fields) > schema["maxProperties"]:
        return f"{name or 'It'} may have at most {schema['maxProperties']} fields."
    for each, content in fields.items():
        more = properties.get(each, schema.get("additionalProperties", True))
        if more is False:
            takes = f"it takes {spoken_list(list(properties))}" if properties else "it takes none"
            return f"There is no argument {_shown(_inside(name, each))}; {takes}."
        if more is not True and (problem := problem_of(more, content, _inside(name, each))):
            return problem
    return ""


def _wrong_choice(schema: Schema, value: Any, name: str) -> str:
    for each in schema.get("allOf", ()):
        if problem := problem_of(each, value, name):
            return problem
    for key in ("anyOf", "oneOf"):
        problems = [problem_of(each, value, name) for each in schema.get(key, ())]
        if problems and all(problems):
            return problems[0]
        if key == "oneOf" and problems.count("") > 1:
            return f"{name or 'The value'} fits more than one of its forms."
    return ""


_CHECKS = (_wrong_fixed, _wrong_text, _wrong_number, _wrong_list, _wrong_object)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


_IS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": _is_whole,
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, Mapping),
    "null": lambda value: value is None,
}
_IN_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def _reads(read: Callable[[str], Any], value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


def _day(value: str) -> date:
    # Python also reads 20260303 and 2026-W10-2.
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise ValueError(value)
    return date.fromisoformat(value)


def _is_mail(value: str) -> bool:
    return len(value) <= _LONGEST_MAIL and _MAIL.fullmatch(value) is not None


_FORMS: Mapping[str, tuple[Callable[[str], object], str]] = {
    "date": (partial(_reads, _day), "a date such as 2026-03-03"),
    "time": (partial(_reads, time.fromisoformat), "a time such as 09:30"),
    "date-time": (
        partial(_reads, datetime.fromisoformat),
        "a time such as 2026-03-03T09:30:00+01:00",
    ),
    "email": (_is_mail, "an e-mail address"),
    "uri": (_URI.fullmatch, "a URL"),
    "uuid": (partial(_reads, uuid.UUID), "a UUID"),
}


def _same(one: Any, other: Any) -> bool:
    return _key(one) == _key(other)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _inside(name: str, field: str) -> str:
    return f"{name}.{field}" if name else field


def _about(schema: Schema) -> str:
    says = str(schema.get("description", "")).rstrip(".")
    return f": {says}" if says else ""


def _told(schema: Schema, value: Any, name: str) -> str:
    """What was given. Problems are told and written down, and secrets must not be."""
    return "what was given" if is_secret(name, schema) else _shown(value)


def _shown(value: Any) -> str:
    text = "empty" if value in (None, "") else repr(value)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}…"
