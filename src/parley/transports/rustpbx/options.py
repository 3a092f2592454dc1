"""How the RustPBX socket behaves where its URL doesn't say otherwise."""

from __future__ import annotations

from dataclasses import dataclass

RATES_HZ = (8000, 16_000, 24_000, 48_000)
DEFAULT_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class RustPbxOptions:
    """``rate_hz`` is that of the agent's voice, one of ``RATES_HZ``.

    ``silent_s`` is how long a PBX sends no sound whose call is over. ``grace_s`` is how long a call
    waits for another socket when its own broke off. ``max_calls`` and ``call_s`` (0 is no limit
    besides the house's) hold for calls that come this way.
    """

    rate_hz: int = DEFAULT_RATE_HZ
    silent_s: float = 30.0
    grace_s: float = 1.5
    max_calls: int = 0
    call_s: float = 0.0
    sockets_per_peer: int = 500
    sockets_per_s: float = 50.0
