"""One request to a tool's URL, and the answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``target`` is the URL as it was configured, ``whose`` the tenant that asks:
    what its failures are counted by."""

    method: str
    url: str
    target: str
    whose: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """A 2xx answer, read: ``data`` is what its JSON holds, its text, or None for no body."""

    status: int
    data: Any
    is_json: bool
