"""The settings of RustPBX: its listener, and the names that its older media server had.

Several of those names are anybody's (``SAMPLE_RATE``), and may be set for another program: they are
read only where the listener is on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError, model_validator
from pydantic_settings import BaseSettings

from parley.core.errors import BadSettings
from parley.settings.field import setting

USUAL_HOST, USUAL_PORT = "127.0.0.1", 8765
RATES_HZ = (8000, 16_000, 24_000, 48_000)
SWITCH, PLACE = "PARLEY_RUSTPBX", ("PIPECAT_SERVER_HOST", "PIPECAT_SERVER_PORT")
ANYBODYS = ("SAMPLE_RATE", "CHANNELS", "FRAME_SIZE", "CALL_TIMEOUT", "MAX_CONCURRENT_CALLS")


class RustPbxSettings(BaseSettings):
    """Where RustPBX finds its media server, and what that does to its calls."""

    rustpbx: bool = setting(
        SWITCH,
        False,
        "Whether RustPBX has a listener of its own. PIPECAT_SERVER_HOST or PIPECAT_SERVER_PORT "
        "alone opens it, too, unless this says off.",
        "rustpbx",
    )
    pipecat_server_host: str | None = setting(
        "PIPECAT_SERVER_HOST",
        None,
        "The address of the RustPBX listener.",
        "rustpbx",
        allowed="an address or a host name",
        shown=USUAL_HOST,
        example=USUAL_HOST,
    )
    pipecat_server_port: int | None = setting(
        "PIPECAT_SERVER_PORT",
        None,
        "The port of the RustPBX listener; 0 takes any free one.",
        "rustpbx",
        shown=str(USUAL_PORT),
        ge=0,
        le=65535,
        example=str(USUAL_PORT),
    )
    sample_rate: int = setting(
        "SAMPLE_RATE",
        16_000,
        "The rate of the agent's sound towards RustPBX, in Hz, where the URL says nothing. Sound "
        "from there says its own.",
        "rustpbx",
        allowed=f"one of {', '.join(map(str, RATES_HZ))}",
        ge=1,
    )
    channels: int = setting(
        "CHANNELS", 1, "The channels of sound from and to RustPBX.", "rustpbx", allowed="1", ge=1
    )
    call_timeout: int = setting(
        "CALL_TIMEOUT",
        0,
        "How many seconds a call of RustPBX may last. 0 leaves it to the agent.",
        "rustpbx",
        ge=0,
        le=86_400,
        example="300",
    )
    max_concurrent_calls: int = setting(
        "MAX_CONCURRENT_CALLS",
        0,
        "How many calls of RustPBX there may be at once, on both ports together. 0 leaves it to "
        "PARLEY_MAX_CALLS, which holds in any case.",
        "rustpbx",
        ge=0,
        example="10",
    )
    frame_size: int | None = setting(
        "FRAME_SIZE",
        None,
        "The samples of a piece of sound.",
        "later",
        planned="pieces of another length than 20 ms",
        ge=1,
        example="160",
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_others_theirs(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if _is_wanted(values):
            return values
        names = {*ANYBODYS, *map(str.lower, ANYBODYS)}
        return {name: value for name, value in values.items() if name not in names}

    @property
    def opens_rustpbx(self) -> bool:
        """Whether RustPBX has a listener of its own."""
        if "rustpbx" in self.model_fields_set:
            return self.rustpbx
        return not self.model_fields_set.isdisjoint({"pipecat_server_host", "pipecat_server_port"})

    @property
    def rustpbx_host(self) -> str:
        return self.pipecat_server_host or USUAL_HOST

    @property
    def rustpbx_port(self) -> int:
        return USUAL_PORT if self.pipecat_server_port is None else self.pipecat_server_port

    def require_usable_rustpbx(self) -> None:
        """Refuse what would sound wrong. Raises ``BadSettings``."""
        if not self.opens_rustpbx:
            return
        if self.sample_rate not in RATES_HZ:
            raise BadSettings(
                f"SAMPLE_RATE={self.sample_rate} is not allowed: it takes one of "
                f"{', '.join(map(str, RATES_HZ))}.",
                hint="16000 is what RustPBX expects.",
            )
        if self.channels != 1:
            raise BadSettings(
                f"CHANNELS={self.channels} is not allowed: it takes 1.",
                hint="RustPBX plays what comes as one channel, whatever it is.",
            )


def _is_wanted(values: Mapping[str, Any]) -> bool:
    """What ``opens_rustpbx`` will be, of values that nobody has looked at yet."""
    given = {name.upper().removeprefix("PARLEY_"): value for name, value in values.items()}
    if (switch := given.get("RUSTPBX")) is None:
        return any(given.get(name) is not None for name in PLACE)
    try:
        return TypeAdapter(bool).validate_python(switch)
    except ValidationError:
        # It is complained of by its own name; the others' turn comes with the next start.
        return False
