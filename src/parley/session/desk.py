"""Finds what an agent's calls need: its engines with its options, its tools, its description."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from parley.agents.catalog import AgentCatalog
from parley.agents.schema import Agent
from parley.core.audio import Audio, Resampler
from parley.core.errors import BadAgent, ParleyError
from parley.core.log import get_logger
from parley.engines.catalog import Choice, EngineCatalog
from parley.engines.spec import (
    ChatOptions,
    Chatter,
    SpeechOptions,
    Synthesizer,
    TranscribeOptions,
    Transcriber,
)
from parley.session.mishaps import SPARE_VOICE_RATE_HZ
from parley.session.pipeline import CallEngines
from parley.tools.spec import Tool

log = get_logger(__name__)


class Tools(Protocol):
    """Makes tools by name; ``tools.catalog`` has one."""

    def tools_for(self, wanted: Sequence[Any], *, time_zone: str = "") -> Sequence[Tool]: ...


class _Chosen:
    """The engines that were settled on for one agent, open."""

    def __init__(
        self,
        stt: Choice[Transcriber],
        llm: Choice[Chatter],
        tts: Choice[Synthesizer],
        catalog: EngineCatalog,
    ) -> None:
        self.stt, self.llm, self.tts = stt, llm, tts
        self.hearing = catalog.open(stt)
        self.thinking = catalog.open(llm)
        self.speaking = catalog.open(tts)


class Desk:
    """Prepares agents before a call can reach them, so that a call finds everything warm."""

    def __init__(self, agents: AgentCatalog, catalog: EngineCatalog, tools: Tools) -> None:
        self._agents = agents
        self._catalog = catalog
        self._tools = tools
        self._chosen: dict[str, tuple[Agent, _Chosen]] = {}

    async def warm_up(self) -> None:
        """Choose and warm the engines of every agent.

        The default agent's engines must work; another agent's may not, which is logged.
        """
        for agent in self._agents.all():
            try:
                await self.prepare(agent)
            except ParleyError as error:
                if agent.name == self._agents.default_name:
                    raise
                log.error("agent_not_ready", agent=agent.name, error=str(error))

    async def prepare(self, agent: Agent) -> None:
        """Settle on the agent's engines and tools and warm them; raises if one can't be had."""
        self._tools_of(agent)
        wishes = agent.engines
        stt = await self._catalog.choose("stt", wishes.stt)
        llm = await self._catalog.choose("llm", wishes.llm)
        tts = await self._catalog.choose("tts", wishes.tts)
        chosen = _Chosen(stt, llm, tts, self._catalog)
        await self._catalog.warm_up()
        await _teach(chosen)
        self._chosen[agent.name] = (agent, chosen)

    async def engines_for(self, agent: Agent, voice: str) -> CallEngines:
        """This agent's engines with its options; ``voice`` overrides its own if not ""."""
        chosen = await self._chosen_for(agent)
        return CallEngines(
            stt=chosen.hearing,
            llm=chosen.thinking,
            tts=chosen.speaking,
            hearing=TranscribeOptions(language=agent.language, grammar=chosen.thinking.grammar()),
            thinking=ChatOptions(),
            speaking=SpeechOptions(
                voice=voice or agent.voice, speed=agent.speech_speed, language=agent.language
            ),
        )

    def tools_for(self, agent: Agent) -> Sequence[Tool]:
        return self._tools_of(agent)

    async def check_engines(self) -> dict[str, bool]:
        """Whether each engine in use answers, by its name."""
        found: dict[str, bool] = {}
        for (_kind, name), status in (await self._catalog.check()).items():
            found[name] = found.get(name, True) and status.ok
        return found

    async def describe_agents(self) -> list[dict[str, Any]]:
        """Who answers here, in the words of the page."""
        return [await self._describe(agent) for agent in self._agents.all()]

    async def spare_voice(self) -> bytes:
        """The default agent's apology, spoken now, for when its voice fails later."""
        agent = self._agents.get()
        engines = await self.engines_for(agent, "")
        spoken = b""
        resampler: Resampler | None = None
        async for piece in engines.tts.synthesize(agent.sorry.tts, engines.speaking):
            resampler = resampler or Resampler(piece.rate_hz, SPARE_VOICE_RATE_HZ)
            spoken += resampler.push(piece.pcm)
        return spoken + (resampler.flush() if resampler else b"")

    async def _chosen_for(self, agent: Agent) -> _Chosen:
        held = self._chosen.get(agent.name)
        # A file that has changed since gives another object.
        if held is None or held[0] is not agent:
            await self.prepare(agent)
        return self._chosen[agent.name][1]

    def _tools_of(self, agent: Agent) -> Sequence[Tool]:
        try:
            return self._tools.tools_for(agent.tools, time_zone=agent.time_zone)
        except ParleyError as error:
            raise BadAgent(f"Agent {agent.name}: {error.message}", hint=error.hint) from error

    async def _describe(self, agent: Agent) -> dict[str, Any]:
        chosen = await self._chosen_for(agent)
        voices = chosen.speaking.voices()
        return {
            "name": agent.name,
            "title": agent.label,
            "description": agent.description,
            "is_default": agent.name == self._agents.default_name,
            "voice": agent.voice,
            "voices": [
                {"id": voice.id, "name": voice.name, "language": voice.language} for voice in voices
            ],
            "engines": {
                "stt": chosen.stt.spec.name,
                "llm": chosen.llm.spec.name,
                "tts": chosen.tts.spec.name,
            },
            "is_language_model": chosen.llm.spec.is_language_model,
        }


async def _teach(chosen: _Chosen) -> None:
    """Let the recogniser learn the model's grammar before the first caller waits for it."""
    grammar = chosen.thinking.grammar()
    if grammar:
        options = TranscribeOptions(grammar=grammar)
        async for _ in chosen.hearing.transcribe(_nothing(), options):
            pass


async def _nothing() -> AsyncIterator[Audio]:
    for piece in ():
        yield piece
