"""What RustPBX's client makes of the server's messages: read as strictly as it does.

Whatever it would drop with a warning, or in silence, is an ``Unreadable`` here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, cast

Message = dict[str, Any]
Check = Callable[[Any], bool]


class Unreadable(AssertionError):
    """The client would not have read the message."""


def _whole(least: int, most: int) -> Check:
    # A truth value is an int to Python, and 1.0 equals 1; neither is an integer in JSON's eyes.
    return lambda value: type(value) is int and least <= value <= most


def _bytes(value: Any) -> bool:
    return isinstance(value, list) and all(map(U8, cast(list[Any], value)))


U8, U32, U64 = (_whole(0, 2**bits - 1) for bits in (8, 32, 64))
I32_OR_NULL: Check = lambda value: value is None or _whole(-(2**31), 2**31 - 1)(value)  # noqa: E731
STR: Check = lambda value: isinstance(value, str)  # noqa: E731
BOOL: Check = lambda value: isinstance(value, bool)  # noqa: E731


# The oldest clients want `language`; those after them take it or leave it.
NEEDED: Mapping[str, Mapping[str, Check]] = {
    "connected": {"server": STR, "version": STR, "timestamp": U64},
    "configured": {"call_id": STR, "status": STR, "timestamp": U64},
    "audio": {"audio_data": _bytes, "sample_rate": U32, "channels": U32, "frame_id": STR},
    "transcription": {"text": STR, "is_final": BOOL, "timestamp": U64, "language": STR},
    "llm_response": {"text": STR, "is_complete": BOOL, "timestamp": U64},
    "tts_started": {"text": STR, "timestamp": U64},
    "tts_completed": {"text": STR, "timestamp": U64},
    "error": {"message": STR, "timestamp": U64},
    "metrics": {"key": STR, "duration": U64, "timestamp": U64},
    "ping": {"timestamp": U64},
    "pong": {"timestamp": U64},
}
OPTIONAL: Mapping[str, Mapping[str, Check]] = {"error": {"code": I32_OR_NULL}}


def read_message(text: str | bytes) -> Message:
    """One text message of the server. Raises ``Unreadable``."""
    try:
        message = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except ValueError as error:
        raise Unreadable(f"no JSON: {_shown(text)}") from error
    if not isinstance(message, dict):
        raise Unreadable(f"no object: {_shown(text)}")
    found = cast(Message, message)
    kind = found.get("type")
    if not isinstance(kind, str) or kind not in NEEDED:
        raise Unreadable(f"no known type: {_shown(text)}")
    for name, check in NEEDED[kind].items():
        if name not in found:
            raise Unreadable(f"{kind} has no {name}: {_shown(text)}")
        if not check(found[name]):
            raise Unreadable(f"{kind}'s {name} is {str(found[name])[:60]!r}: {_shown(text)}")
    for name, check in OPTIONAL.get(kind, {}).items():
        if name in found and not check(found[name]):
            raise Unreadable(f"{kind}'s {name} is {found[name]!r}: {_shown(text)}")
    return found


def _object(pairs: list[tuple[str, Any]]) -> Message:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable(f"a field comes twice: {[name for name, _ in pairs]}")
    for value in found.values():
        if isinstance(value, str):
            # Half of a surrogate pair is no character.
            value.encode()
    return found


def _no_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is no JSON")


def _shown(text: str | bytes) -> str:
    return text[:300].decode(errors="replace") if isinstance(text, bytes) else text[:300]
