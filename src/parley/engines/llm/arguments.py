"""Makes what a model passes to a tool fit the tool's schema: "3" becomes 3, 5 becomes "5"."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from parley.core.errors import EngineFailed
from parley.engines.llm.loose_json import object_in
from parley.engines.spec import ToolSchema

_DEEPEST = 12
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def arguments_from(text: str, tool: ToolSchema | None = None) -> dict[str, Any]:
    """The arguments that an engine's server gave as a string; "" are none.

    Light faults are mended. Raises ``EngineFailed`` for what is no JSON object at all.
    """
    if not text.strip() or text.strip() == "null":
        return {}
    found = object_in(text)
    if found is None:
        name = tool.name if tool else "a tool"
        raise EngineFailed(f"The model called {name} with arguments that are no JSON object.")
    return fit_arguments(found, tool.parameters) if tool else found


def fit_arguments(given: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` with every value as near to the type that ``schema`` wants as it can be."""
    return _fit_object(given, schema, 0)


def _fit_object(given: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = _mapping(schema.get("properties"))
    values = _unwrapped(given, properties)
    names = {_plain(name): name for name in properties}
    fitted: dict[str, Any] = {}
    for key, value in values.items():
        name = key if key in properties else names.get(_plain(key), key)
        fitted[name] = _fit(value, _mapping(properties.get(name)), depth + 1)
    return fitted


def _unwrapped(given: Mapping[str, Any], properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Small models copy the schema's own frame around the values."""
    for frame in ("properties", "parameters", "arguments"):
        inner = given.get(frame)
        if frame not in properties and isinstance(inner, dict) and given.keys() <= _frame_of(frame):
            return _unwrapped(cast(dict[str, Any], inner), properties)
    return given


def _frame_of(frame: str) -> set[str]:
    return {frame, "type", "required"}


def _fit(value: Any, schema: Mapping[str, Any], depth: int) -> Any:
    if depth > _DEEPEST:
        return value
    wanted = _types(schema)
    if wanted and "object" not in wanted:
        value = _mapping(value).get("value", value)
    if not wanted or (value is None and "null" in wanted):
        return _choice(value, schema)
    for kind in wanted:
        fitted = _as(kind, value, schema, depth)
        if fitted is not None:
            return _choice(fitted, schema)
    return value


def _as(kind: str, value: Any, schema: Mapping[str, Any], depth: int) -> Any:
    """``value`` as that JSON type, or None when it can't be one."""
    match kind:
        case "integer" | "number":
            return _number(value, kind)
        case "boolean":
            return _boolean(value)
        case "string":
            return _text(value)
        case "array":
            return _array(value, schema, depth)
        case "object":
            fields = object_in(value) if isinstance(value, str) else value
            if isinstance(fields, dict):
                return _fit_object(cast(dict[str, Any], fields), schema, depth)
            return None
        case _:
            return None


def _number(value: Any, kind: str) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value.strip().lstrip("+").replace(",", ""))
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    if isinstance(value, float) and kind == "integer":
        return int(value) if value.is_integer() else None
    return value


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    return True if word in _TRUE else False if word in _FALSE else None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return None if value is None else str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _array(value: Any, schema: Mapping[str, Any], depth: int) -> list[Any] | None:
    if value is None:
        return None
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            value = [value]
    items: list[Any] = cast(list[Any], value) if isinstance(value, list) else [value]
    return [_fit(item, _mapping(schema.get("items")), depth + 1) for item in items]


def _choice(value: Any, schema: Mapping[str, Any]) -> Any:
    """The allowed value that is meant, where only its letters' case or its type differ."""
    allowed = schema.get("enum")
    if isinstance(allowed, list) and value not in allowed:
        for each in cast(list[Any], allowed):
            if _plain(str(each)) == _plain(str(value)):
                return each
    return value


def _types(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type")
    if isinstance(kind, str):
        return [kind]
    if isinstance(kind, Sequence):
        return [str(each) for each in cast(Sequence[Any], kind)]
    arms = cast(Sequence[Any], schema.get("anyOf") or schema.get("oneOf") or ())
    return [each for arm in arms for each in _types(_mapping(arm))]


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def _plain(name: str) -> str:
    """A name without what models change in it: case, dashes, blanks, underscores."""
    return "".join(c for c in name.casefold() if c.isalnum())
