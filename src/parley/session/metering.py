"""Counts what a call has of its engines, so that its tenant's quotas hold while it goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from parley.core.audio import Audio
from parley.engines.fallback.timing import closing
from parley.engines.llm.guarding import estimated_tokens
from parley.engines.spec import (
    ChatOptions,
    Chatter,
    Delta,
    Message,
    SpeechOptions,
    Status,
    Synthesizer,
    TagPerformer,
    ToolSchema,
    Usage,
    Voice,
)
from parley.session.pipeline import CallEngines


class Note(Protocol):
    """Is told what was used since the last word: ``Reservation.note`` is one."""

    def __call__(self, *, tokens: int = 0, characters: int = 0) -> None: ...


def free_of_charge(*, tokens: int = 0, characters: int = 0) -> None:
    """The note of a call that nobody pays for."""


def metered(engines: CallEngines, note: Note) -> CallEngines:
    """The same engines, which tell ``note`` of each token and each character."""
    speech = MeteredTagSpeech if isinstance(engines.tts, TagPerformer) else MeteredSpeech
    return replace(engines, llm=MeteredChat(engines.llm, note), tts=speech(engines.tts, note))


class MeteredChat:
    """A ``Chatter`` in front of another. What an engine doesn't count, a reply that was cut off
    for one, is estimated."""

    def __init__(self, engine: Chatter, note: Note) -> None:
        self._engine = engine
        self._note = note

    async def warm_up(self) -> None:
        await self._engine.warm_up()

    async def check(self) -> Status:
        return await self._engine.check()

    def grammar(self) -> str:
        return self._engine.grammar()

    async def close(self) -> None:
        await self._engine.close()

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        reply = _Reply()
        try:
            async with closing(self._engine.chat(messages, tools, options)) as deltas:
                async for delta in deltas:
                    reply.take(delta)
                    yield delta
        finally:
            if reply.has_begun:
                self._note(tokens=reply.tokens(messages))


class MeteredSpeech:
    """A ``Synthesizer`` in front of another."""

    def __init__(self, engine: Synthesizer, note: Note) -> None:
        self._engine = engine
        self._note = note

    async def warm_up(self) -> None:
        await self._engine.warm_up()

    async def check(self) -> Status:
        return await self._engine.check()

    def voices(self) -> Sequence[Voice]:
        return self._engine.voices()

    async def close(self) -> None:
        await self._engine.close()

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        is_noted = False
        async with closing(self._engine.synthesize(text, options)) as sounds:
            async for sound in sounds:
                if not is_noted:
                    # A sentence that failed before its first sound cost nothing.
                    self._note(characters=len(text))
                    is_noted = True
                yield sound


class MeteredTagSpeech(MeteredSpeech):
    """The same for a voice that acts out tags."""

    @property
    def tags(self) -> frozenset[str]:
        assert isinstance(self._engine, TagPerformer)
        return self._engine.tags


@dataclass
class _Reply:
    """What has come of one reply."""

    text: str = ""
    asked_for: str = ""
    usage: Usage | None = None
    has_begun: bool = False

    def take(self, delta: Delta) -> None:
        self.has_begun = True
        self.text += delta.text
        self.asked_for += "".join(str(tool.arguments) for tool in delta.tools)
        self.usage = delta.usage or self.usage

    def tokens(self, messages: Sequence[Message]) -> int:
        if self.usage is not None:
            return self.usage.prompt_tokens + self.usage.completion_tokens
        said = {"role": "assistant", "content": self.text + self.asked_for}
        return estimated_tokens([*messages, said])
