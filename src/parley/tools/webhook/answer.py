"""What the model gets of a tool's answer: the part that it needs, and no more than it can take."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field

LARGEST_BODY_BYTES = 1024 * 1024
"""What is read of an answer before it is refused."""
LARGEST_ANSWER_BYTES = 8192
"""What a model gets of it by default."""

_SHRINKING = ((None, 2000), (20, 1000), (10, 500), (5, 200), (3, 100))
"""Items of a list, and letters of a text, in one attempt after the other."""
_SHORTEST_FILE = 512
_FILE = re.compile(r"(data:[\w/+.-]+;base64,)?[A-Za-z0-9+/\s_-]+={0,2}")


class AnswerOptions(BaseModel):
    """What of an answer reaches the model. ``take`` is a place in it (``data.rooms`` or
    ``/data/rooms``), ``keep`` the fields that its objects keep, ``most_items`` the length of its
    lists. A plain API that answers with nothing ``may_be_empty``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    take: str = ""
    keep: tuple[str, ...] = ()
    most_items: int = Field(default=20, ge=1, le=500)
    may_be_empty: bool = False

    def mapped(self, answer: Any) -> Any:
        """Raises ``LookupError`` where the answer has no such place."""
        return self._kept(taken(answer, self.take))

    def _kept(self, value: Any) -> Any:
        if not self.keep:
            return value
        if isinstance(value, list):
            return [self._kept(each) for each in cast("list[Any]", value)]
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return {name: fields[name] for name in self.keep if name in fields}
        return value


def taken(answer: Any, place: str) -> Any:
    """What is at a place of an answer. Raises ``LookupError``."""
    for part in _parts(place):
        if isinstance(answer, Mapping):
            answer = cast("Mapping[str, Any]", answer)[part]
        elif isinstance(answer, list) and part.isdigit():
            answer = cast("list[Any]", answer)[int(part)]
        else:
            raise LookupError(part)
    return answer


def _parts(place: str) -> Sequence[str]:
    if not place:
        return ()
    if place.startswith("/"):
        parts = place[1:].split("/")
        return [part.replace("~1", "/").replace("~0", "~") for part in parts]
    return place.split(".")


def shortened(answer: Any, *, most_items: int, most_bytes: int) -> Any | None:
    """The answer within those limits, with notes in the places of what was left out; None where
    no shortening makes it small enough."""
    for items, letters in _SHRINKING:
        short = _short(answer, min(items or most_items, most_items), letters)
        if len(json.dumps(short, ensure_ascii=False).encode()) <= most_bytes:
            return short
    return None


def _short(value: Any, items: int, letters: int) -> Any:
    if isinstance(value, str):
        return _short_text(value, letters)
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: _short(each, items, letters) for name, each in fields.items()}
    if isinstance(value, list):
        whole = cast("list[Any]", value)
        short = [_short(each, items, letters) for each in whole[:items]]
        left_out = len(whole) - len(short)
        return [*short, f"… and {left_out} more of {len(whole)}"] if left_out else short
    return value


def _short_text(text: str, letters: int) -> str:
    # JSON may hold halves of letters, which nobody can send on.
    text = text.encode(errors="replace").decode()
    # A text of so many letters without a blank or a dot is a file in disguise.
    if len(text) >= _SHORTEST_FILE and " " not in text and _FILE.fullmatch(text):
        return f"(a file of about {len(text) * 3 // 4 // 1024 + 1} KB was left out)"
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
