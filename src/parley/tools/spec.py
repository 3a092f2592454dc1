"""What a tool is, and what it may ask of the call it runs in."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from parley.core.call import Ability


@dataclass(frozen=True, slots=True)
class DigitsWanted:
    """A number that the caller is to type or say.

    It is complete with ``count`` digits (0: any number, up to ``most``), with the key
    ``terminator``, or, where ``count`` is 0, when nothing more comes for ``between_s``. Nothing at
    all is waited for ``first_s`` from the moment that the caller can answer. Of one that
    ``is_secret`` no event says what it is.
    """

    count: int = 0
    terminator: str = "#"
    first_s: float = 10.0
    between_s: float = 4.0
    most: int = 32
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class DigitsGiven:
    """What came of asking for a number. ``ended`` says why no more was waited for; ``said`` is
    what the caller said that held no digit."""

    digits: str
    ended: Literal["count", "terminator", "silence", "said"]
    by: Literal["keys", "voice", "both", "nobody"]
    said: str = ""


class CallActions(Protocol):
    """What a tool may do to its call. The session implements it.

    Where the transport or the far side can't or won't, they raise ``NotSupported``.
    """

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

    async def transfer(self, target: str) -> None:
        """Hand the caller on, once what is being said has been heard; return when the target has
        taken the call."""
        ...

    async def hold(self) -> None: ...

    async def resume(self) -> None: ...

    async def send_digits(self, digits: str) -> None:
        """Press keys; return when they have gone out."""
        ...

    async def collect_digits(self, wanted: DigitsWanted, prompt: str = "") -> DigitsGiven:
        """Say the prompt and wait for the number. What the caller says meanwhile is taken for it
        and answered by nobody else."""
        ...

    async def play(self, file: Path, *, interruptible: bool = True) -> bool:
        """Play a sound file after what is being said; whether it was heard to its end. Raises
        ``BadAudio``."""
        ...


async def _tell_nobody(_text: str) -> None:
    """Where nobody listens there is nobody to be told that it takes longer."""


def idempotency_key(call_id: str, tool: str, tool_call_id: str) -> str:
    """The same for every attempt at one use of a tool, and different for every other use."""
    return hashlib.sha256(f"{call_id}|{tool}|{tool_call_id}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One use of a tool: its parsed arguments, its id, and the call it happens in.

    ``agent`` uses it for ``tenant``. A tool that changes something passes ``idempotency_key`` on,
    so that a second attempt changes nothing more; ``run_id`` is the run's name in the tool book.
    ``progress(text)`` tells the caller that it still goes on, when there is a good moment for it.
    ``changes`` and ``timeout_s`` are the tool's, by the agent's own rules; 0 is its usual time.
    """

    id: str
    arguments: Mapping[str, Any]
    actions: CallActions
    tenant: str = ""
    agent: str = ""
    idempotency_key: str = ""
    run_id: str = ""
    changes: bool = False
    timeout_s: float = 0.0
    progress: Callable[[str], Awaitable[None]] = _tell_nobody


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that is ready to run.

    ``parameters`` is a JSON schema of type object. ``run`` returns something that JSON can hold;
    it raises ``ToolFailed`` with a sentence that the model can pass on. ``timeout_s`` bounds it.
    With ``interruptible`` false the caller's speech does not cancel it (a booking, say); with
    ``outlives_speech`` its answer is also acted upon when it comes after something that the caller
    said. With ``ends_turn`` the model is not run again after it (hanging up). It is offered only in
    calls whose transport has what it ``needs``. ``hides_arguments`` keeps them out of events and
    of the book, ``hides_answer`` what it answers.

    One that ``changes`` something outside gets an idempotency key and is tried again only where
    that is safe. One that ``confirms`` runs only after its details were said back and the caller
    has answered. When it takes longer than ``filler_after_ms`` the caller hears ``filler``, or one
    of the agent's own where that is ""; 0 is never. The catalog says whose it is: ``provider``.
    """

    name: str
    description: str
    run: Callable[[ToolCall], Awaitable[Any]]
    parameters: Mapping[str, Any] = field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )
    timeout_s: float = 10.0
    interruptible: bool = True
    outlives_speech: bool = False
    ends_turn: bool = False
    needs: Ability | None = None
    hides_arguments: bool = False
    hides_answer: bool = False
    changes: bool = False
    confirms: bool = False
    filler: str = ""
    filler_after_ms: int = 700
    provider: str = ""
