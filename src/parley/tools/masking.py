"""Takes secrets out of a tool's arguments, and of what comes back, before they are written down."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, cast

MASK: Final = "***"

# English, and the commonest in German, French and Spanish, without accents.
_SECRET_WORDS = frozenset(
    {
        *("password", "passwd", "passphrase", "pwd", "pin", "tan", "otp", "cvv", "cvc", "iban"),
        *("token", "secret", "credential", "credentials", "apikey", "ssn"),
        *("passwort", "kennwort", "geheimzahl", "geheimnummer", "geheimcode", "kartennummer"),
        *("kreditkartennummer", "kontonummer", "prufnummer", "pruefnummer", "prufziffer"),
        *("pruefziffer", "sicherheitscode", "zugangscode", "sozialversicherungsnummer"),
        *("motdepasse", "mdp", "contrasena", "secreto", "secreta"),
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
        ("mot", "passe"),
        ("code", "confidentiel"),
        ("numero", "carte"),
        ("carte", "bancaire"),
        ("numero", "compte"),
        ("numero", "tarjeta"),
        ("numero", "cuenta"),
        ("clave", "acceso"),
    }
)
_ALONE = frozenset({"card", "passcode", "kreditkarte", "tarjeta", "clave"})
_LINKS = frozenset({"de", "du", "d", "del", "la", "le", "el"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_NO_SCHEMA: Mapping[str, Any] = {}
_CHOICES = ("anyOf", "oneOf", "allOf")
_DEEPEST = 12
# Shorter ones are part of ordinary words and numbers: they are looked for between them.
LEAST_ANYWHERE: Final = 6
_GAPS = str.maketrans("", "", " .-")

Forms = tuple[Mapping[str, Any], ...]
"""What a value may be: its schema, and all that the schema offers to choose from."""


def masked(arguments: Mapping[str, Any], schema: Mapping[str, Any] = _NO_SCHEMA) -> dict[str, Any]:
    """The arguments, with ``***`` in the place of secrets.

    Secret is what the JSON schema marks so (``format: password``, ``writeOnly`` or ``x-secret``)
    and what its name says (password, pin, card_number, accessToken …), at any depth.
    """
    return _Masking().fields(arguments, _forms(schema))


def secret_values(
    arguments: Mapping[str, Any], schema: Mapping[str, Any] = _NO_SCHEMA, *, all_are: bool = False
) -> tuple[str, ...]:
    """What those secrets are, or everything that is passed where ``all_are``."""
    masking = _Masking(all_are)
    masking.fields(arguments, _forms(schema))
    return tuple(masking.found)


def without(value: Any, secrets: Sequence[str]) -> Any:
    """The answer, with ``***`` where it repeats a secret: services like to."""
    if not secrets:
        return value
    parts = [_expression(each) for each in sorted(secrets, key=len, reverse=True)]
    return _replaced(value, re.compile("|".join(parts), re.IGNORECASE))


def is_secret(name: str, schema: Mapping[str, Any]) -> bool:
    """Whether what that argument holds must not be told."""
    return _is_secret(name, _forms(schema))


class _Masking:
    """One pass through some arguments; ``found`` are the secrets in them."""

    def __init__(self, all_are_secret: bool = False) -> None:
        self.found: list[str] = []
        self._all_are_secret = all_are_secret

    def fields(self, fields: Mapping[str, Any], forms: Forms) -> dict[str, Any]:
        return {name: self._one(name, each, _inside(forms, name)) for name, each in fields.items()}

    def _one(self, name: str, value: Any, forms: Forms) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if self._all_are_secret or _is_secret(name, forms):
            self.found += _texts(value)
            return MASK
        if isinstance(value, Mapping):
            return self.fields(cast("Mapping[str, Any]", value), forms)
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            each = tuple(form for one in forms for form in _forms(one.get("items")))
            return [self._one("", item, each) for item in cast("Sequence[Any]", value)]
        return value


def _forms(schema: object, depth: int = 0) -> Forms:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return ()
    fields = cast("Mapping[str, Any]", schema)
    offered = [each for key in _CHOICES for each in _listed(fields.get(key))]
    return fields, *(form for each in offered for form in _forms(each, depth + 1))


def _listed(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _inside(forms: Forms, name: str) -> Forms:
    found: list[Mapping[str, Any]] = []
    for form in forms:
        known = form.get("properties")
        named = cast("Mapping[str, Any]", known) if isinstance(known, Mapping) else _NO_SCHEMA
        found += _forms(named.get(name, form.get("additionalProperties")))
    return tuple(found)


def _is_secret(name: str, forms: Forms) -> bool:
    return any(_is_marked(each) for each in forms) or _sounds_secret(name)


def _is_marked(schema: Mapping[str, Any]) -> bool:
    return (
        schema.get("format") == "password"
        or schema.get("writeOnly") is True
        or schema.get("x-secret") is True
    )


def _sounds_secret(name: str) -> bool:
    plain = "".join(
        each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each)
    )
    words = [word.lower() for word in _WORD.findall(plain)]
    words = [word for word in words if word not in _LINKS]
    if len(words) == 1 and words[0] in _ALONE:
        return True
    pairs = pairwise(words)
    return not _SECRET_WORDS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(pairs)


# ── what comes back ──────────────────────────────────────────────────────────────────────────


def _texts(value: Any) -> Iterator[str]:
    """What a secret holds, as the texts that might come back."""
    if isinstance(value, Mapping):
        for each in cast("Mapping[str, Any]", value).values():
            yield from _texts(each)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for each in cast("Sequence[Any]", value):
            yield from _texts(each)
    elif value is not None and not isinstance(value, bool) and (text := str(value).strip()):
        yield text


def _expression(secret: str) -> str:
    digits = secret.translate(_GAPS)
    if digits.isdecimal():
        # Numbers come back in groups.
        return rf"(?<!\d){'[ .-]?'.join(digits)}(?!\d)"
    words = re.escape(secret)
    return words if len(secret) >= LEAST_ANYWHERE else rf"(?<!\w){words}(?!\w)"


def _replaced(value: Any, secrets: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return secrets.sub(MASK, value)
    if isinstance(value, list | tuple):
        return [_replaced(each, secrets) for each in cast("Sequence[Any]", value)]
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return {_replaced(key, secrets): _replaced(each, secrets) for key, each in fields.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return MASK if secrets.fullmatch(str(value)) else value
    return value
