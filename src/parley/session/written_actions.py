"""What tools may do in a conversation that nobody holds on a telephone."""

from __future__ import annotations

from pathlib import Path

from parley.core.errors import ToolFailed
from parley.tools.spec import DigitsGiven, DigitsWanted

_NO_CALL = "This conversation is in writing: there is no telephone call."


class WrittenActions:
    """``CallActions`` where there is no call: what a tool says becomes part of the reply."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self.said: list[str] = []

    @property
    def call_id(self) -> str:
        return self._call_id

    async def say(self, text: str) -> None:
        self.said.append(text)

    async def hang_up(self) -> None:
        """There is no line to hang up; the tool's own rule ends the turn."""

    async def adjust_speech(self, *, speed: float = 1.0, volume: float = 1.0) -> None:
        raise ToolFailed("This conversation is in writing: there is no voice to adjust.")

    async def transfer(self, target: str) -> None:
        raise ToolFailed(_NO_CALL)

    async def hold(self) -> None:
        raise ToolFailed(_NO_CALL)

    async def resume(self) -> None:
        raise ToolFailed(_NO_CALL)

    async def send_digits(self, digits: str) -> None:
        raise ToolFailed(_NO_CALL)

    async def collect_digits(self, wanted: DigitsWanted, prompt: str = "") -> DigitsGiven:
        raise ToolFailed(_NO_CALL)

    async def play(self, file: Path, *, interruptible: bool = True) -> bool:
        raise ToolFailed(_NO_CALL)
