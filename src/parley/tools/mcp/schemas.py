"""A server's description of its arguments, as every model understands it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

DEEPEST = 12
_DEFINITIONS = ("$defs", "definitions")


def plain_schema(schema: Mapping[str, Any], hidden: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A schema of type object without references, and without the arguments that are ``hidden``
    from the model. What refers to itself ends as an object of any kind."""
    resolved = cast("dict[str, Any]", _resolved(schema, schema, 0))
    for name in _DEFINITIONS:
        resolved.pop(name, None)
    properties = cast("dict[str, Any]", resolved.get("properties") or {})
    required = cast("list[str]", resolved.get("required") or [])
    return {
        **resolved,
        "type": "object",
        "properties": {name: each for name, each in properties.items() if name not in hidden},
        "required": [name for name in required if name not in hidden],
    }


def _resolved(value: Any, root: Mapping[str, Any], depth: int) -> Any:
    if isinstance(value, list):
        return [_resolved(each, root, depth) for each in cast("list[Any]", value)]
    if not isinstance(value, Mapping):
        return value
    fields = dict(cast("Mapping[str, Any]", value))
    reference = fields.pop("$ref", None)
    if isinstance(reference, str):
        if depth >= DEEPEST:
            return {"type": "object"}
        fields = {**_found(reference, root), **fields}
        return _resolved(fields, root, depth + 1)
    return {
        name: each if name in _DEFINITIONS else _resolved(each, root, depth)
        for name, each in fields.items()
    }


def _found(reference: str, root: Mapping[str, Any]) -> dict[str, Any]:
    """What a reference within the schema stands for; nothing, for any other."""
    place: Any = root
    for part in reference.removeprefix("#/").split("/") if reference.startswith("#/") else ("",):
        place = cast("Mapping[str, Any]", place).get(part) if isinstance(place, Mapping) else None
    return dict(cast("Mapping[str, Any]", place)) if isinstance(place, Mapping) else {}
