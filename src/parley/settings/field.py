"""How one setting is declared."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from pydantic.config import JsonDict

Group = Literal[
    "server",
    "access",
    "calls",
    "telephone",
    "rustpbx",
    "agents",
    "tools",
    "engines",
    "models",
    "logs",
    "later",
]


def setting(
    name: str,
    default: Any,
    says: str,
    group: Group,
    *,
    allowed: str = "",
    shown: str = "",
    example: str = "",
    engines: tuple[str, ...] = (),
    planned: str = "",
    hides_value: bool = False,
    **limits: Any,
) -> Any:
    """One setting.

    ``allowed`` says what it may hold where the type does not; ``shown`` is its default in words
    and ``example`` a value for ``.env.example`` where the default is no value;
    ``engines`` are those that it belongs to; ``planned`` names what will use it in a later
    version; with ``hides_value`` errors never repeat what it was set to.
    """
    about: JsonDict = {
        "group": group,
        "allowed": allowed,
        "shown": shown,
        "example": example,
        "engines": list(engines),
        "planned": planned,
        "hides_value": hides_value,
    }
    if callable(default):
        limits["default_factory"] = default
    else:
        limits["default"] = default
    return Field(validation_alias=name, description=says, json_schema_extra=about, **limits)
