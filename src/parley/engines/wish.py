"""Which engine somebody asks for: what an agent's file or a setting says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class EngineWish:
    """An engine by name, or ``auto``, with options of its own. ``by`` says who asked."""

    name: str = AUTO
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    by: str = field(default="", compare=False)


Wishes = tuple[EngineWish, ...]
"""A chain: the first that answers is taken."""

ANY: Wishes = (EngineWish(),)


def read_wishes(value: object, by: str = "") -> Wishes:
    """Read a name, a mapping ``{engine: name, …options}``, or a list of those.

    Raises ``ValueError`` with a sentence for the author.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        wishes = tuple(_read_wish(item, by) for item in cast(Sequence[object], value))
        if not wishes:
            raise ValueError("a list of engines needs at least one name")
        return wishes
    return (_read_wish(value, by),)


def _read_wish(value: object, by: str) -> EngineWish:
    if isinstance(value, EngineWish):
        return value
    if isinstance(value, str) and value:
        return EngineWish(value, by=by)
    if not isinstance(value, dict):
        raise ValueError("takes auto, a name, a list of names, or {engine: name, …its options}")
    options = {str(key): item for key, item in cast(dict[object, Any], value).items()}
    name = options.pop("engine", None)
    if not isinstance(name, str) or not name:
        raise ValueError("a mapping needs engine: with a name")
    if name == AUTO and options:
        raise ValueError("auto takes no options: name the engine that they belong to")
    return EngineWish(name, options, by)
