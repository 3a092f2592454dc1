"""The ``telephone`` tools: what an agent may do to its own call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from parley.core.errors import ToolFailed
from parley.tools.arguments import Arguments
from parley.tools.provider import ProviderContext
from parley.tools.spec import Tool, ToolCall

_LEAST, _MOST = 0.5, 2.0


class TelephoneOptions(BaseModel):
    """The telephone has nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TelephoneProvider:
    """Makes the tools ``hang_up`` and ``adjust_speech``."""

    name = "telephone"
    summary = "Hanging up, and speaking slower, faster, louder or quieter."
    options = TelephoneOptions

    def tools(self, options: TelephoneOptions, context: ProviderContext) -> Sequence[Tool]:
        return (
            Tool(
                name="hang_up",
                description="End the call. Say goodbye first; nothing can be said afterwards.",
                run=_hang_up,
                parameters={"type": "object", "properties": {}, "additionalProperties": False},
                interruptible=False,
                filler_after_ms=0,
                ends_turn=True,
            ),
            Tool(
                name="adjust_speech",
                description="Speak slower or faster, quieter or louder from now on, when the "
                "caller asks for it.",
                run=_adjust_speech,
                parameters={
                    "type": "object",
                    "properties": {
                        "speed": _factor("Factor on the speed: 0.8 is slower, 1.25 is faster"),
                        "volume": _factor("Factor on the volume: 0.7 is quieter, 1.5 is louder"),
                    },
                    "additionalProperties": False,
                },
            ),
        )


def _factor(description: str) -> dict[str, Any]:
    return {"type": "number", "minimum": _LEAST, "maximum": _MOST, "description": description}


async def _hang_up(call: ToolCall) -> dict[str, Any]:
    # Models like to give a reason; a call is not kept up for that.
    await call.actions.hang_up()
    return {"status": "hanging_up"}


async def _adjust_speech(call: ToolCall) -> dict[str, Any]:
    given = Arguments(call.arguments, ("speed", "volume"))
    speed = given.factor("speed", least=_LEAST, most=_MOST)
    volume = given.factor("volume", least=_LEAST, most=_MOST)
    if not (given.has("speed") or given.has("volume")):
        raise ToolFailed("Give speed or volume: a factor such as 0.8 or 1.25.")
    await call.actions.adjust_speech(speed=speed, volume=volume)
    return {"status": "adjusted", "speed": speed, "volume": volume}
