"""What is known of a call before anyone has said a word."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

Direction = Literal["inbound", "outbound"]
EndReason = Literal[
    "caller",
    "agent",
    "drain",
    "limit",
    "quota",
    "idle",
    "error",
    # Of calls that went out and were never begun:
    "busy",
    "declined",
    "no_answer",
    "unknown",
    "unreachable",
    "machine",
]

Ability = Literal["digits", "hold", "transfer"]
"""What a transport may be able to do to a call besides carrying its sound."""


DEFAULT_TENANT = "default"


def new_call_id() -> str:
    return f"call_{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class CallInfo:
    """One caller connected through one transport.

    ``caller`` is who is calling as the transport knows it (a browser's address, a SIP URI), and
    ``callee`` whom an outbound call goes to; ``voice`` overrides the agent's voice for this call;
    ``started_s`` is a monotonic time.
    """

    agent: str
    transport: str
    id: str = field(default_factory=new_call_id)
    tenant: str = DEFAULT_TENANT
    direction: Direction = "inbound"
    caller: str = ""
    callee: str = ""
    voice: str = ""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_s: float = field(default_factory=time.monotonic)
