"""Why a call is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Ending:
    """``by``: the ``far`` side hung up, we (``us``) did, or the far side was ``lost``: it answered
    nothing, or says that it knows of no call."""

    by: Literal["far", "us", "lost"]
    reason: str = ""
