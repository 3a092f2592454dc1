"""A call, for tools to act on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parley.tools.spec import DigitsGiven, DigitsWanted, Tool, ToolCall


@dataclass
class FakeActions:
    """Notes what tools do to the call, or raises ``refusal``."""

    call_id: str = "call_1"
    done: list[Any] = field(default_factory=list)
    given: DigitsGiven = field(default_factory=lambda: DigitsGiven("", "silence", "nobody"))
    is_heard: bool = True
    refusal: Exception | None = None

    async def say(self, text: str) -> None:
        self.done.append(("say", text))

    async def hang_up(self) -> None:
        self.done.append("hang_up")

    async def adjust_speech(self, *, speed: float = 1.0, volume: float = 1.0) -> None:
        self.done.append(("adjust_speech", speed, volume))

    async def transfer(self, target: str) -> None:
        await self._do(("transfer", target))

    async def hold(self) -> None:
        await self._do("hold")

    async def resume(self) -> None:
        await self._do("resume")

    async def send_digits(self, digits: str) -> None:
        await self._do(("send_digits", digits))

    async def collect_digits(self, wanted: DigitsWanted, prompt: str = "") -> DigitsGiven:
        await self._do(("collect_digits", wanted, prompt))
        return self.given

    async def play(self, file: Path, *, interruptible: bool = True) -> bool:
        await self._do(("play", file, interruptible))
        return self.is_heard

    async def _do(self, what: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.done.append(what)


class Belt:
    """Tools by name, used one at a time with ids that never repeat unless told to."""

    def __init__(self, tools: list[Tool], actions: FakeActions | None = None) -> None:
        self.tools = {tool.name: tool for tool in tools}
        self.actions = actions or FakeActions()
        self._count = 0

    async def use(self, tool: str, /, **arguments: Any) -> Any:
        self._count += 1
        return await self.use_as(f"tool_{self._count}", tool, **arguments)

    async def use_as(self, id: str, tool: str, /, **arguments: Any) -> Any:
        return await self.tools[tool].run(ToolCall(id, arguments, self.actions))
