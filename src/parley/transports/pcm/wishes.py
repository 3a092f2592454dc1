"""What the URL of a PCM socket asks for: it is all that a PBX can say."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from parley.core.errors import InvalidValue

RATES_HZ = (8000, 16_000, 24_000, 32_000, 44_100, 48_000)
DEFAULT_RATE_HZ = 8000
LONGEST_CALLER = 120

# What MediaPass appends is what it does; the operator's own word comes after it.
_HEARD = ("sample_rate", "samplerate", "rate")
_VOICE = ("voice_rate",)


@dataclass(frozen=True, slots=True)
class PcmWishes:
    """``rate_hz`` is the rate of the caller's sound and ``voice_rate_hz`` of the agent's.

    ``caller`` is who is calling, if the PBX's operator has put that in; ``far_call_id`` is the
    PBX's name for the call, for the log.
    """

    agent: str = ""
    rate_hz: int = DEFAULT_RATE_HZ
    voice_rate_hz: int = DEFAULT_RATE_HZ
    caller: str = ""
    far_call_id: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> PcmWishes:
        """Raises ``InvalidValue``. What it doesn't know (``packet_size``, ``codec``) is none of our
        business: any size of packet is heard."""
        rate_hz = _rate(query, _HEARD, DEFAULT_RATE_HZ)
        return cls(
            agent=query.get("agent", ""),
            rate_hz=rate_hz,
            voice_rate_hz=_rate(query, _VOICE, rate_hz),
            caller=_line(query.get("caller", "")),
            far_call_id=_line(query.get("call_id", "")),
        )


def mend_query(scope: MutableMapping[str, Any]) -> None:
    """A second ``?`` is a ``&``: MediaPass appends its own query to a URL that has one already."""
    scope["query_string"] = scope.get("query_string", b"").replace(b"?", b"&")


def _line(told: str) -> str:
    """It ends up in the history, the log and on pages."""
    return "".join(filter(str.isprintable, told))[:LONGEST_CALLER]


def _rate(query: Mapping[str, str], names: tuple[str, ...], default_hz: int) -> int:
    name = next((name for name in names if query.get(name)), "")
    if not name:
        return default_hz
    told = query[name]
    if told.isascii() and told.isdigit() and len(told) < 10 and int(told) in RATES_HZ:
        return int(told)
    raise InvalidValue(
        f"{name}={told[:20]} is no rate that is served.",
        hint=f"Take one of {', '.join(map(str, RATES_HZ))}.",
        param=name,
    )
