"""The engines that were settled on for one agent, and what they are told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from parley.agents.schema import Agent
from parley.core.audio import Audio
from parley.engines.catalog import Choice, EngineCatalog
from parley.engines.jsgf import with_phrases
from parley.engines.spec import (
    Chatter,
    Kind,
    SpeechOptions,
    Synthesizer,
    TranscribeOptions,
    Transcriber,
)


class Chosen:
    """The engines that were settled on for one agent, open."""

    def __init__(
        self,
        stt: Choice[Transcriber],
        llm: Choice[Chatter],
        tts: Choice[Synthesizer],
        catalog: EngineCatalog,
    ) -> None:
        self.stt, self.llm, self.tts = stt, llm, tts
        self.choices: tuple[Choice[Any], ...] = (stt, llm, tts)
        self.hearing = catalog.chain(stt)
        self.thinking = catalog.chain(llm).spoken()
        self.speaking = catalog.chain(tts)

    def name_of(self, kind: Kind) -> str:
        """The engine that was chosen to serve."""
        return next(choice.spec.name for choice in self.choices if choice.spec.kind == kind)


def speaking_of(agent: Agent, voice: str = "") -> SpeechOptions:
    return SpeechOptions(
        voice=voice or agent.voice, speed=agent.speech_speed, language=agent.language
    )


def grammar_of(agent: Agent, chosen: Chosen) -> str:
    """What can be said to the agent's model, and the phrases that wake the agent."""
    return with_phrases(chosen.thinking.grammar(), agent.turn_taking.wake_phrases)


async def teach(chosen: Chosen, grammar: str) -> None:
    """Let recognisers of this process learn what they will hear before a caller waits for it:
    the grammar, or dictation if that is ""."""
    options = TranscribeOptions(grammar=grammar)
    for place, member in zip(chosen.stt.chain, chosen.hearing.members, strict=True):
        if place.spec.is_offline and member.is_well:
            async for _ in member.engine.transcribe(_nothing(), options):
                pass


async def _nothing() -> AsyncIterator[Audio]:
    for piece in ():
        yield piece
