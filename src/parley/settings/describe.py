"""What there is to know of each setting, for errors, flags and the reference."""

from __future__ import annotations

import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, cast, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from parley.settings.model import Settings

_KINDS: dict[type, str] = {
    bool: "on or off (also true, false, yes, no, 1, 0)",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    SecretStr: "a key",
}


@dataclass(frozen=True, slots=True)
class SettingFact:
    """One setting, described in words.

    ``name`` is its environment name, ``field`` its key in the settings file, ``flag`` its
    command-line flag: "" for secrets, since other users of the machine can read those.
    ``default`` is in words; ``example`` could be typed as it stands.
    """

    name: str
    field: str
    flag: str
    group: str
    says: str
    default: str
    example: str
    allowed: str
    engines: tuple[str, ...]
    planned: str
    hides_value: bool
    is_switch: bool


def setting_facts() -> tuple[SettingFact, ...]:
    """Every setting, in the order of the model."""
    return tuple(_fact(field, info) for field, info in Settings.model_fields.items())


def _fact(field: str, info: FieldInfo) -> SettingFact:
    about = cast(dict[str, Any], info.json_schema_extra)
    kind = _plain(info.annotation)
    hides_value = bool(about["hides_value"]) or kind is SecretStr
    return SettingFact(
        name=str(info.validation_alias),
        field=field,
        flag="" if hides_value else "--" + field.replace("_", "-"),
        group=about["group"],
        says=info.description or "",
        default=about["shown"] or _in_words(info.default),
        example=about["example"] or ("" if about["shown"] else _example(info.default)),
        allowed=about["allowed"] or _allowed(kind, info.metadata),
        engines=tuple(about["engines"]),
        planned=about["planned"],
        hides_value=hides_value,
        is_switch=kind is bool,
    )


def _plain(annotation: Any) -> Any:
    """The type itself, without ``| None`` and ``Annotated``."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(arm for arm in get_args(annotation) if arm is not type(None))
    return get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def _allowed(kind: Any, metadata: list[Any]) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(kind))
    return _KINDS[kind] + _limits(metadata)


def _limits(metadata: list[Any]) -> str:
    """`` from 1 to 65535``, read from pydantic's constraints."""
    limits: dict[str, Any] = {}
    for constraint in metadata:
        for sign in ("ge", "gt", "le", "lt"):
            if (bound := getattr(constraint, sign, None)) is not None:
                limits[sign] = bound
    words: list[str] = []
    if "ge" in limits:
        words.append(f" from {limits['ge']}")
    if "gt" in limits:
        words.append(f" above {limits['gt']}")
    if "le" in limits:
        words.append(f" to {limits['le']}" if "ge" in limits else f", at most {limits['le']}")
    return "".join(words)


def _example(default: Any) -> str:
    return "" if default is None else _in_words(default)


def _in_words(default: Any) -> str:
    if default is None or default == "":
        return "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, tuple):
        return ",".join(cast(tuple[str, ...], default))
    return f"{default:g}" if isinstance(default, float) else str(default)
