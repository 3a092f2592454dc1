"""What a tool is, and what it may ask of the call it runs in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class CallActions(Protocol):
    """What a tool may do to its call. The session implements it."""

    @property
    def call_id(self) -> str: ...

    async def say(self, text: str) -> None:
        """Speak a sentence now."""
        ...

    async def hang_up(self) -> None:
        """End the call once what is being said has been heard."""
        ...

    async def adjust_speech(self, *, speed: float = 1.0, volume: float = 1.0) -> None:
        """Multiply the voice's speed and volume from the next sentence on."""
        ...


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One use of a tool: its parsed arguments, its id, and the call it happens in."""

    id: str
    arguments: Mapping[str, Any]
    actions: CallActions


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that is ready to run.

    ``parameters`` is a JSON schema of type object. ``run`` returns something that JSON can hold;
    it raises ``ToolFailed`` with a sentence that the model can pass on. ``timeout_s`` bounds it.
    With ``interruptible`` false the caller's speech does not cancel it (a booking, say).
    With ``ends_turn`` the model is not run again after it (hanging up).
    """

    name: str
    description: str
    run: Callable[[ToolCall], Awaitable[Any]]
    parameters: Mapping[str, Any] = field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )
    timeout_s: float = 10.0
    interruptible: bool = True
    ends_turn: bool = False
