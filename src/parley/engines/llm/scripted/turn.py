"""One turn of the script: what it says and the tool it wants run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that the script wants run."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """What the script says, and the tool it calls, if any."""

    text: str
    call: Call | None = None
    is_repeat: bool = False
