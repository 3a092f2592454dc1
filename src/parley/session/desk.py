"""Finds what an agent's calls need: its engines with its options, its tools, its description."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from parley.agents.catalog import AgentCatalog
from parley.agents.schema import Agent, VariantKey
from parley.core.audio import Resampler
from parley.core.errors import BadAgent, ModelMissing, NotReady, ParleyError
from parley.core.log import get_logger
from parley.engines.catalog import EngineCatalog
from parley.engines.fallback.places import Queue
from parley.engines.fetching import Missing
from parley.engines.llm.guarding import limits_of, max_tokens_of
from parley.engines.spec import (
    ChatOptions,
    Kind,
    Status,
    TranscribeOptions,
    voices_for,
)
from parley.engines.wish import AUTO
from parley.session.chosen import Chosen, grammar_of, speaking_of, teach
from parley.session.first_words import SPARE_VOICE_RATE_HZ, warm_speech
from parley.tools.provider import ToolMaker
from parley.tools.rules import stray_rule, with_rules
from parley.tools.spec import Tool

if TYPE_CHECKING:
    from parley.session.pipeline import CallEngines

log = get_logger(__name__)

MODEL_RETRY_AFTER_S = 15


class Desk:
    """Prepares agents before a call can reach them, so that a call finds everything warm."""

    def __init__(self, agents: AgentCatalog, catalog: EngineCatalog, tools: ToolMaker) -> None:
        self._agents = agents
        self._catalog = catalog
        self._tools = tools
        self._chosen: dict[VariantKey, tuple[Agent, Chosen]] = {}
        self._problems: dict[VariantKey, tuple[Agent, ParleyError]] = {}
        self._spare_voice = b""
        if catalog.fetcher is not None:
            catalog.fetcher.when_one_arrives(self._take_model)
            catalog.fetcher.tell_meanwhile(self._meanwhile)

    async def warm_up(self) -> None:
        """Choose and warm the engines of every agent.

        Those of the house's default agent must work, unless a model for them is on its way;
        another agent's may not, which is logged.
        """
        for agent in self._agents.all():
            try:
                await self.prepare(agent)
            except ParleyError as error:
                waits = isinstance(error, ModelMissing) and self.fetching
                if agent.key == ("", self._agents.default_name) and not waits:
                    raise
                log.error("agent_not_ready", agent=agent.name, error=str(error))
        await self._prepare_spare_voice()
        if self._catalog.fetcher is not None:
            self._catalog.fetcher.begin()

    async def _take_model(self) -> None:
        """A model has come: choose again, for it may be what an agent waits for."""
        for agent in self._agents.all():
            try:
                await self.prepare(agent)
            except ParleyError as error:
                log.error("agent_not_ready", agent=agent.name, error=str(error))
            else:
                _, chosen = self._chosen[agent.variant_key]
                names = {choice.spec.kind: choice.spec.name for choice in chosen.choices}
                log.info("agent_ready", agent=agent.name, **names)
        await self._prepare_spare_voice()

    def _meanwhile(self, missing: Missing) -> str:
        """Who serves those agents that would like to have the model."""
        serving: dict[str, None] = {}
        waiting: list[str] = []
        for agent in self._agents.all():
            wished = {wish.name for wish in agent.engines.wishes()[missing.kind]}
            if wished.isdisjoint({missing.engine, AUTO}):
                continue
            if agent.variant_key in self._chosen:
                _, chosen = self._chosen[agent.variant_key]
                serving[chosen.name_of(missing.kind)] = None
            else:
                waiting.append(agent.label)
        parts = [f"Meanwhile {' and '.join(serving)} serves."] if serving else []
        if waiting:
            parts.append(f"Until then {' and '.join(waiting)} can't be called.")
        return " ".join(parts)

    @property
    def fetching(self) -> Mapping[str, str]:
        """The models on their way, ``ENGINE:MODEL``: how far each has come, or why it can't be
        had yet."""
        return self._catalog.fetching

    def require_ready(self, agent: Agent) -> None:
        """Raises ``NotReady`` while the agent waits for a model that is being fetched, or will
        be tried again."""
        if self._held(agent) is not None or not self.fetching:
            return
        of, problem = self._problems.get(agent.variant_key, (None, None))
        if of is agent and isinstance(problem, ModelMissing):
            why = "; ".join(says.removesuffix(".") for says in self.fetching.values())
            raise NotReady(
                f"{agent.label} waits for a model: {why}.", retry_after_s=MODEL_RETRY_AFTER_S
            )

    async def prepare(self, agent: Agent) -> None:
        """Settle on the agent's engines and tools and warm them; raises if one can't be had."""
        try:
            chosen = await self._prepared(agent)
        except ParleyError as error:
            self._problems[agent.variant_key] = (agent, error)
            raise
        self._problems.pop(agent.variant_key, None)
        self._chosen[agent.variant_key] = (agent, chosen)

    async def _prepared(self, agent: Agent) -> Chosen:
        tools = self._tools_of(agent)
        chosen = await self._choose(agent)
        try:
            await self._catalog.warm_up()
        except ParleyError as error:
            # One that answers and yet can't start: whoever stands by serves.
            log.warning("engine_passed_over", agent=agent.name, error=str(error))
            chosen = await self._choose(agent, among_started=True)
            await self._catalog.warm_up()
        # A recogniser learns in a process of its own; the voice need not wait for it.
        speaking = asyncio.create_task(
            warm_speech(agent, chosen.speaking, speaking_of(agent), tools)
        )
        try:
            await teach(chosen, grammar_of(agent, chosen))
            await speaking
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
        return chosen

    async def _choose(self, agent: Agent, *, among_started: bool = False) -> Chosen:
        wishes, choose = agent.engines, self._catalog.choose
        stt = await choose("stt", wishes.stt, among_started=among_started)
        llm = await choose("llm", wishes.llm, among_started=among_started)
        tts = await choose("tts", wishes.tts, among_started=among_started)
        return Chosen(stt, llm, tts, self._catalog)

    async def engines_for(self, agent: Agent, voice: str) -> CallEngines:
        """This agent's engines with its options; ``voice`` overrides its own if not ""."""
        # Not above: the desk warms engines up while Pipecat's pipeline is still being imported.
        from parley.session.pipeline import CallEngines

        chosen = await self._chosen_for(agent)
        return CallEngines(
            stt=chosen.hearing,
            llm=chosen.thinking,
            tts=chosen.speaking,
            hearing=TranscribeOptions(language=agent.language, grammar=grammar_of(agent, chosen)),
            thinking=ChatOptions(
                max_tokens=max_tokens_of(chosen.llm.options), time_zone=agent.time_zone
            ),
            speaking=speaking_of(agent, voice),
            limits=limits_of(
                chosen.llm.options, is_language_model=chosen.llm.spec.is_language_model
            ),
        )

    def tools_for(self, agent: Agent, tenant: str) -> Sequence[Tool]:
        return self._tools_of(agent, tenant)

    async def check_engines(self) -> Mapping[tuple[Kind, str], Status]:
        """What each engine in use says of itself, by kind and name."""
        return await self._catalog.check()

    def engine_queues(self) -> Mapping[tuple[Kind, str], Queue]:
        """Who waits for each engine that serves a bounded number at a time."""
        return self._catalog.queues()

    async def describe_agents(self, tenant: str) -> list[dict[str, Any]]:
        """Who answers the tenant here, in the words of the page."""
        return [await self._describe(agent, tenant) for agent in self._agents.of(tenant)]

    def spare_voice(self) -> bytes:
        """The default agent's apology, spoken in advance, for when its voice fails later."""
        return self._spare_voice

    async def _prepare_spare_voice(self) -> None:
        agent = self._agents.get()
        if agent.variant_key not in self._chosen:
            return
        _, chosen = self._chosen[agent.variant_key]
        spoken = b""
        resampler: Resampler | None = None
        try:
            async for piece in chosen.speaking.synthesize(agent.sorry.tts, speaking_of(agent)):
                resampler = resampler or Resampler(piece.rate_hz, SPARE_VOICE_RATE_HZ)
                spoken += resampler.push(piece.pcm)
        except ParleyError as error:
            # Calls go on without it: it is for the day when speech fails in mid-call.
            log.warning("no_spare_voice", error=str(error))
            return
        self._spare_voice = spoken + (resampler.flush() if resampler else b"")

    async def _chosen_for(self, agent: Agent) -> Chosen:
        held = self._held(agent)
        if held is None:
            await self.prepare(agent)
        return held or self._chosen[agent.variant_key][1]

    def _held(self, agent: Agent) -> Chosen | None:
        """What was settled on for this very agent: a file that has changed gives another."""
        of, chosen = self._chosen.get(agent.variant_key, (None, None))
        return chosen if of is agent else None

    def _tools_of(self, agent: Agent, tenant: str = "") -> Sequence[Tool]:
        try:
            file = self._agents.file_of(agent)
            tools = self._tools.tools_for(
                agent.tools,
                time_zone=agent.time_zone,
                tenant=tenant,
                folder=file.parent if file else None,
                owner=agent.tenant,
                language=agent.language,
            )
        except ParleyError as error:
            raise BadAgent(f"Agent {agent.name}: {error.message}", hint=error.hint) from error
        if stray := stray_rule(tools, agent.tool_rules, [use.name for use in agent.tools]):
            raise BadAgent(f"Agent {agent.name}: {stray}")
        return with_rules(tools, agent.tool_rules)

    async def _describe(self, agent: Agent, tenant: str) -> dict[str, Any]:
        """An agent that can't answer yet is told of all the same, with ``problem``."""
        about: dict[str, Any] = {
            "name": agent.name,
            "title": agent.label,
            "description": agent.description,
            "is_default": agent.name == self._agents.default_name,
            "voice": agent.voice,
        }
        try:
            self.require_ready(agent)
            chosen = await self._chosen_for(agent)
        except ParleyError as error:
            return about | {"voices": [], "engines": {}, "problem": str(error)}
        voices = voices_for(tenant, chosen.speaking.voices())
        return about | {
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
