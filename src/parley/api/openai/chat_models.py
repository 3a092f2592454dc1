"""Who answers when a model is named: an engine with one of its models, or an agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from parley.agents.schema import Agent
from parley.core.errors import ModelMissing, ModelNotFound, UnsupportedValue
from parley.engines.fallback.chain import Replacement
from parley.engines.fallback.limits import StageLimits
from parley.engines.fallback.thinking import FallbackChat
from parley.engines.llm.textual_calls import spoken_deltas
from parley.engines.spec import ChatOptions, Delta, Message, ToolSchema
from parley.session.turn_runner import Asked, TurnRunner

AGENT_PREFIX = "agent:"
WRITTEN_MAX_TOKENS = 2048
"""How long a reply may be when nobody said; a spoken one is much shorter."""
WRITTEN_LIMITS = StageLimits(first_s=120.0, gap_s=60.0, patience_s=240.0)
"""Who reads can wait longer than who listens: a large model may be loading."""


class Answerer(Protocol):
    """One that can be named as a model."""

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        """The reply. Closing the iterator stops the work behind it."""
        ...


class ChatModels(Protocol):
    """Finds who answers to a model's name."""

    async def find(self, model: str, tenant: str) -> Answerer:
        """Raises ``ModelNotFound``, which says what there is."""
        ...


class EngineAnswers:
    """An engine, or a chain of them, asked directly."""

    def __init__(
        self, chain: FallbackChat, *, model: str, max_tokens: int, keeps_format: bool
    ) -> None:
        self._chain = chain
        self._model = model
        self._max_tokens = max_tokens
        self._keeps_format = keeps_format

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        if options.response_format and not self._keeps_format:
            name = self._chain.chain.serving.name
            raise UnsupportedValue(
                f"response_format: the engine {name} can't keep to one.",
                hint="Leave it out, or take a model of ollama, llama_cpp or openai.",
                param="response_format",
            )
        asked = replace(
            options, model=self._model, max_tokens=options.max_tokens or self._max_tokens
        )
        deltas = self._chain.for_call(_note, WRITTEN_LIMITS).chat(messages, tools, asked)
        # Small models write their calls as text; without tools every word is meant to be read.
        read = spoken_deltas(deltas, tools) if tools else deltas
        try:
            async with aclosing(read) as pieces:
                async for delta in pieces:
                    yield delta
        except ModelMissing as error:
            raise ModelNotFound(error.message, hint=error.hint, param="model") from error


class AgentAnswers:
    """An agent, with its instructions and tools."""

    def __init__(self, agent: Agent, runner: TurnRunner) -> None:
        self._agent = agent
        self._runner = runner

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        if options.response_format:
            raise UnsupportedValue(
                "response_format: an agent answers in its own words.",
                hint="Ask an engine's model for JSON.",
                param="response_format",
            )
        asked = Asked(tools=tuple(tools), options=options)
        return self._runner.run_turn(self._agent, messages, asked)


def _note(told: Replacement) -> None:
    """The chain logs replacements; an HTTP client is told nothing of them."""
