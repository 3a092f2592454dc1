"""Takes secrets out of a tool's arguments before they are told or written down."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, cast

MASK: Final = "***"

_SECRET_WORDS = frozenset(
    {
        *("password", "passwd", "passphrase", "pwd", "pin", "tan", "otp", "cvv", "cvc", "iban"),
        *("token", "secret", "credential", "credentials", "apikey", "ssn"),
    }
)
# Words that are harmless alone: a number, a key, a code.
_SECRET_PAIRS = frozenset(
    {
        ("card", "number"),
        ("account", "number"),
        ("credit", "card"),
        ("debit", "card"),
        ("api", "key"),
        ("private", "key"),
        ("access", "key"),
        ("security", "code"),
        ("pass", "word"),
        ("pass", "code"),
    }
)
_ALONE = frozenset({"card", "passcode"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NO_SCHEMA: Mapping[str, Any] = {}


def masked(arguments: Mapping[str, Any], schema: Mapping[str, Any] = _NO_SCHEMA) -> dict[str, Any]:
    """The arguments, with ``***`` in the place of secrets.

    Secret is what the JSON schema marks so (``format: password``, ``writeOnly`` or ``x-secret``)
    and what its name says (password, pin, card_number, accessToken …), at any depth.
    """
    shapes = _mapping(schema.get("properties"))
    return {
        name: _masked(name, value, _mapping(shapes.get(name))) for name, value in arguments.items()
    }


def is_secret(name: str, schema: Mapping[str, Any]) -> bool:
    """Whether what that argument holds must not be told."""
    return _is_marked(schema) or _sounds_secret(name)


def _masked(name: str, value: Any, schema: Mapping[str, Any]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if is_secret(name, schema):
        return MASK
    if isinstance(value, Mapping):
        return masked(cast("Mapping[str, Any]", value), schema)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        each = _mapping(schema.get("items"))
        return [_masked("", item, each) for item in cast("Sequence[Any]", value)]
    return value


def _is_marked(schema: Mapping[str, Any]) -> bool:
    return (
        schema.get("format") == "password"
        or schema.get("writeOnly") is True
        or schema.get("x-secret") is True
    )


def _sounds_secret(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    if len(words) == 1 and words[0] in _ALONE:
        return True
    pairs = pairwise(words)
    return not _SECRET_WORDS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(pairs)


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else _NO_SCHEMA
