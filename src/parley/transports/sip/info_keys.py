"""Keys in the body of an INFO request, for telephones that don't send them beside the sound."""

from __future__ import annotations

from parley.core.errors import UnsupportedMedia
from parley.transports.keypad import DIGITS

RELAY = "application/dtmf-relay"
PLAIN = "application/dtmf"

_PRESS_MS = 100


def read_key(kind: str, body: str) -> str:
    """The key that was pressed. Raises ``UnsupportedMedia``."""
    if kind == RELAY:
        lines = (line.partition("=") for line in body.splitlines())
        told = next((v for name, _, v in lines if name.strip().lower() == "signal"), "")
    elif kind == PLAIN:
        told = body
    else:
        raise UnsupportedMedia(f"{kind or 'The body'} means nothing here.", hint=f"Send {RELAY}.")
    key = told.strip().upper()
    if key.isascii() and key.isdigit() and len(key) <= 2 and int(key) < len(DIGITS):
        # Some send the number of the event: 10 is the star.
        return DIGITS[int(key)]
    if len(key) != 1 or key not in DIGITS:
        raise UnsupportedMedia("The body names no key.", hint="Send Signal=5.")
    return key


def write_key(digit: str) -> str:
    return f"Signal={digit}\r\nDuration={_PRESS_MS}\r\n"
