"""How SIP's header values come apart: lists, parameters, quoted words. (RFC 3261, section 25.)"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")


class Malformed(ValueError):
    """Something in a message that can't be read; the text says what."""


def is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


def split_list(text: str, separator: str = ",") -> list[str]:
    """The parts of a list, stripped; a separator in quotes or angle brackets separates nothing."""
    return [part.strip() for part in _parts(text, separator) if part.strip()]


def _parts(text: str, separator: str) -> Iterator[str]:
    start, in_quotes, in_brackets, position = 0, False, False, 0
    while position < len(text):
        letter = text[position]
        if in_quotes:
            if letter == "\\":
                position += 1
            elif letter == '"':
                in_quotes = False
        elif letter == '"':
            in_quotes = True
        elif letter in "<>":
            in_brackets = letter == "<"
        elif letter == separator and not in_brackets:
            yield text[start:position]
            start = position + 1
        position += 1
    if in_quotes:
        raise Malformed("a quote is not closed")
    yield text[start:]


def read_parameters(text: str, separator: str = ";") -> dict[str, str]:
    """``;a=1;b`` → ``{"a": "1", "b": ""}``; names in small letters, the first of two counts."""
    found: dict[str, str] = {}
    for part in split_list(text, separator):
        name, _, value = part.partition("=")
        found.setdefault(name.strip().lower(), unquote(value.strip()))
    return found


def loose_parameters(text: str) -> dict[str, str]:
    """The same of a value that nothing depends on: unreadable, it says nothing."""
    try:
        return read_parameters(text)
    except Malformed:
        return {}


def unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return _QUOTED_PAIR.sub(r"\1", text[1:-1])
    return text


def quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def write_parameters(parameters: Mapping[str, str]) -> str:
    """The reverse of ``read_parameters``, for our own."""
    return "".join(
        f";{name}={value}" if value else f";{name}" for name, value in parameters.items()
    )


def read_number(text: str, largest: int = 2**31 - 1) -> int:
    """A number in plain digits, up to ``largest``."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) > largest:
        raise Malformed(f"{text[:20]!r} is no number up to {largest}")
    return int(text)


def printable(text: str) -> str:
    """Foreign text as others may keep and show it: whole UTF-8, no control characters."""
    clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(letter for letter in clean if letter.isprintable())
