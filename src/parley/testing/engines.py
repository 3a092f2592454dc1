"""Engines for tests: a recogniser that is told what it hears, a model that is told what to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from parley.core.audio import Audio
from parley.core.errors import EngineFailed
from parley.engines.spec import (
    ChatOptions,
    Delta,
    Message,
    Status,
    ToolSchema,
    TranscribeOptions,
    TranscriptPart,
)
from parley.testing.faults import LAST, SOUND, Fault

Reply = str | Delta | Exception | Sequence[Delta]
Mind = Callable[[Sequence[Message]], Reply]


class FakeTranscriber:
    """Hears, utterance by utterance, the texts it was given; then nothing.

    An exception in the place of a text is raised. ``heard_ms`` is how long each utterance was;
    ``fault`` is what is wrong with it, counted in pieces of sound.
    """

    def __init__(self, *texts: str | Exception, fault: Fault | None = None) -> None:
        self.texts = list(texts)
        self.fault = fault
        self.asked = 0
        self.options: list[TranscribeOptions] = []
        self.heard_ms: list[float] = []

    async def warm_up(self) -> None:
        return None

    async def check(self) -> Status:
        return Status(True, "fake hearing")

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        self.asked += 1
        self.options.append(options)
        fault = self.fault or SOUND
        heard_ms = 0.0
        await fault.strike(0)
        pieces = 0
        async for piece in audio:
            heard_ms += piece.duration_ms
            pieces += 1
            await fault.strike(pieces)
        self.heard_ms.append(heard_ms)
        text = self.texts.pop(0) if self.texts else ""
        if isinstance(text, Exception):
            raise text
        await fault.strike(LAST)
        if not fault.garbage:
            yield TranscriptPart(text, final=True, end_ms=round(heard_ms))

    async def close(self) -> None:
        return None


class FakeChatter:
    """Answers with whatever ``mind`` makes of the messages. ``asked`` keeps what it was shown;
    ``fault`` is what is wrong with it, counted in deltas."""

    def __init__(self, mind: Mind, *, fault: Fault | None = None) -> None:
        self.mind = mind
        self.fault = fault
        self.options: list[ChatOptions] = []
        self.asked: list[list[Message]] = []
        self.tools: list[ToolSchema] = []
        self.open_iterators = 0

    async def warm_up(self) -> None:
        return None

    async def check(self) -> Status:
        return Status(True, "fake thinking")

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        self.asked.append([dict(message) for message in messages])
        self.tools = list(tools)
        self.options.append(options)
        fault = self.fault or SOUND
        await fault.strike(0)
        reply = self.mind(messages)
        if isinstance(reply, Exception):
            raise reply
        self.open_iterators += 1
        try:
            for number, delta in enumerate(() if fault.garbage else _deltas(reply), start=1):
                await asyncio.sleep(0)
                yield delta
                await fault.strike(number)
            await fault.strike(LAST)
        finally:
            self.open_iterators -= 1

    def grammar(self) -> str:
        return ""

    async def close(self) -> None:
        return None


def broken(what: str) -> EngineFailed:
    """The failure of an engine that a test breaks."""
    return EngineFailed(f"The fake {what} engine broke, as it was told to.")


def last_user_text(messages: Sequence[Message]) -> str:
    """What the caller said last, for minds that answer to it."""
    said = [str(message["content"]) for message in messages if message["role"] == "user"]
    return said[-1] if said else ""


def _deltas(reply: str | Delta | Sequence[Delta]) -> Sequence[Delta]:
    if isinstance(reply, str):
        return [Delta(text=word + " ") for word in reply.split()]
    return [reply] if isinstance(reply, Delta) else reply
