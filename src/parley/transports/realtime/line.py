"""What a conversation needs of the connection that carries it, and of who knows voices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from parley.agents.schema import Agent
from parley.transports.realtime.wire import ServerEvent


class Line(Protocol):
    """What the conversation needs of the connection that carries it."""

    carries_sound: bool
    """Whether sound comes and goes in events; else it travels by itself, as over WebRTC."""

    def send(self, event: ServerEvent) -> None: ...

    def hear(self, sound: bytes) -> None:
        """Sound that came in an event, in the session's input format."""
        ...

    async def heard(self) -> None:
        """Return when all that came in has gone into the pipeline."""
        ...

    def forget(self) -> None:
        """Throw away what came in and has not gone into the pipeline."""
        ...

    def clear_output(self) -> bool:
        """Throw away speech that waits to go out; whether there was any."""
        ...


FindVoice = Callable[[Agent, str, str], Awaitable[str]]
"""The engine's own name for the voice that a client wants; it is asked with the agent, the voice
and the tenant. Raises ``InvalidValue``."""
