"""A server's description of its arguments, as every model understands it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

DEEPEST = (12, 6, 4, 3, 2, 1)
"""So many references are followed, one inside of the other; fewer where that grows too large."""
MOST_PARTS = 1000
"""What references may bring in. One that refers to itself three times grows threefold each time."""
_DEEPEST_NEST = 64
_DEFINITIONS = ("$defs", "definitions")
_ANY_OBJECT = {"type": "object"}


def plain_schema(schema: Mapping[str, Any], hidden: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A schema of type object without references, and without the arguments that are ``hidden``
    from the model. What refers to itself ends as an object of any kind."""
    resolved = _resolved(schema)
    for name in _DEFINITIONS:
        resolved.pop(name, None)
    properties: dict[str, Any] = {}
    for name, each in _mapping(resolved.get("properties")).items():
        if name not in hidden:
            # Servers are anybody's, and a model's interface refuses all tools for one odd one.
            properties[name] = dict(_mapping(each))
    listed = resolved.get("required")
    required = cast("list[Any]", listed) if isinstance(listed, list) else []
    return {
        **resolved,
        "type": "object",
        "properties": properties,
        "required": [name for name in required if name in properties],
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _resolved(schema: Mapping[str, Any]) -> dict[str, Any]:
    for deepest in DEEPEST:
        try:
            return _Resolver(schema, deepest, MOST_PARTS).whole()
        except _TooLargeError:
            continue
    return _Resolver(schema, 0, 0).whole()


class _TooLargeError(Exception):
    """So many references can't be followed."""


class _Resolver:
    """Puts what references stand for in their places, so many inside of each other."""

    def __init__(self, root: Mapping[str, Any], deepest: int, most_parts: int) -> None:
        self._root = root
        self._deepest = deepest
        self._parts_left = most_parts

    def whole(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self._resolved(self._root, 0, 0))

    def _resolved(self, value: Any, depth: int, nest: int) -> Any:
        if depth:
            self._parts_left -= 1
            if self._parts_left < 0:
                raise _TooLargeError
        if nest > _DEEPEST_NEST:
            return dict(_ANY_OBJECT)
        if isinstance(value, list):
            return [self._resolved(each, depth, nest + 1) for each in cast("list[Any]", value)]
        if not isinstance(value, Mapping):
            return value
        fields = dict(cast("Mapping[str, Any]", value))
        reference = fields.pop("$ref", None)
        if isinstance(reference, str):
            if depth >= self._deepest:
                return dict(_ANY_OBJECT)
            fields = {**_found(reference, self._root), **fields}
            return self._resolved(fields, depth + 1, nest + 1)
        return {
            name: each if name in _DEFINITIONS else self._resolved(each, depth, nest + 1)
            for name, each in fields.items()
        }


def _found(reference: str, root: Mapping[str, Any]) -> dict[str, Any]:
    """What a reference within the schema stands for; nothing, for any other."""
    place: Any = root
    for part in reference.removeprefix("#/").split("/") if reference.startswith("#/") else ("",):
        place = cast("Mapping[str, Any]", place).get(part) if isinstance(place, Mapping) else None
    return dict(cast("Mapping[str, Any]", place)) if isinstance(place, Mapping) else {}
