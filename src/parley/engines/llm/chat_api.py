"""The chat completions route as OpenAI defined it and many servers speak it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import httpx
from pydantic import Field

from parley.core.errors import EngineFailed, EngineRefusedRequest
from parley.core.log import get_logger
from parley.engines.llm.event_lines import ServerEvents
from parley.engines.llm.gathering import Gatherer
from parley.engines.llm.messages import tool_list
from parley.engines.remote.failures import failure_of, told_plainly
from parley.engines.spec import ChatOptions, Delta, EngineOptions, Message, ToolSchema

log = get_logger(__name__)

DEFAULT_MAX_TOKENS = 400
# How long after the last word a server may take to end its answer, before its connection is
# given up rather than kept for the next request.
TAIL_S = 0.2

LimitName = Literal["max_tokens", "max_completion_tokens"]
_OTHER_LIMIT: dict[LimitName, LimitName] = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}
# What a server may refuse without the request losing its sense.
_DISPENSABLE = (
    "stream_options",
    "temperature",
    "top_p",
    "seed",
    "tool_choice",
    "cache_prompt",
    "id_slot",
    "chat_template_kwargs",
)
_REFUSING = (
    "support",
    "unknown",
    "unrecogni",
    "unexpected",
    "not permitted",
    "not allowed",
    "extra input",
)
_MODELS_KNOWN = 64


class RemoteChatOptions(EngineOptions):
    """What language models on other servers have in common."""

    max_tokens: int = Field(DEFAULT_MAX_TOKENS, ge=1, description="Longest reply, in tokens.")
    temperature: float | None = Field(
        None, ge=0, le=2, description="How freely it chooses words; the server's own if not set."
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description="Chooses among the likeliest words only; the server's own."
    )
    timeout_s: float = Field(30.0, gt=0, le=600, description="Longest silence of the server.")
    max_concurrent: int | None = Field(
        None, ge=1, description="Replies written at once, on all servers together."
    )

    def asked(self, options: ChatOptions, model: str) -> ChatOptions:
        """The request's options, with ours where it leaves something open."""
        return replace(
            options,
            model=options.model or model,
            max_tokens=options.max_tokens or self.max_tokens,
            temperature=self.temperature if options.temperature is None else options.temperature,
            top_p=self.top_p if options.top_p is None else options.top_p,
        )


class ChatServer(Protocol):
    """One server that answers chat completions; ``dialect`` is what we learnt of it."""

    dialect: Dialect

    def ask(self, body: dict[str, Any]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Post the body; gives the answer as it comes. Raises our errors only."""
        ...


@dataclass
class Dialect:
    """Which fields a server understands, by model. What it refuses is not sent to it again."""

    limit_name: LimitName = "max_tokens"
    _limits: dict[str, LimitName] = field(default_factory=dict[str, LimitName])
    _refused: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def body(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body in this server's words; it was written with ``max_tokens``."""
        model = str(body.get("model", ""))
        limit = self._limits.get(model, self.limit_name)
        refused = self._refused.get(model, ())
        return {
            limit if name == "max_tokens" else name: value
            for name, value in body.items()
            if name not in refused
        }

    def learn(self, sent: dict[str, Any], refusal: str) -> bool:
        """Whether asking again in other words makes sense, after this refusal."""
        if not any(word in refusal.lower() for word in _REFUSING):
            return False
        model = str(sent.get("model", ""))
        if len(self._limits) + len(self._refused) > _MODELS_KNOWN:
            self._limits.clear()
            self._refused.clear()
        limit: LimitName = (
            "max_completion_tokens" if "max_completion_tokens" in sent else "max_tokens"
        )
        if limit in sent and limit in refusal and model not in self._limits:
            self._limits[model] = _OTHER_LIMIT[limit]
            return True
        for name in _DISPENSABLE:
            if name in sent and name in refusal:
                self._refused.setdefault(model, set()).add(name)
                return True
        return False


def chat_body(
    messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
) -> dict[str, Any]:
    """The body of a streamed chat completion; ``options`` as ``RemoteChatOptions.asked`` gives."""
    body: dict[str, Any] = {
        "messages": list(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": options.max_tokens,
    }
    if options.model:
        body["model"] = options.model
    if options.temperature is not None:
        body["temperature"] = options.temperature
    if options.top_p is not None:
        body["top_p"] = options.top_p
    if options.stop:
        body["stop"] = list(options.stop)
    if options.seed is not None:
        body["seed"] = options.seed
    if options.response_format:
        body["response_format"] = dict(options.response_format)
    if tools:
        body["tools"] = tool_list(tools)
        if options.tool_choice:
            body["tool_choice"] = _choice(options.tool_choice)
    return body


def _choice(tool_choice: str) -> Any:
    if tool_choice in ("auto", "none", "required"):
        return tool_choice
    return {"type": "function", "function": {"name": tool_choice}}


async def replies(
    engine: str, url: str, server: ChatServer, body: dict[str, Any]
) -> AsyncGenerator[Delta]:
    """Ask and read the reply. A server that refuses a field we can do without is asked again
    without it. Closing the iterator closes the connection, which stops the server's work.
    """
    for _ in range(len(_DISPENSABLE) + 1):
        sent = server.dialect.body(body)
        events, gatherer = ServerEvents(), Gatherer()
        try:
            with told_plainly(engine, url):
                async with server.ask(sent) as pieces:
                    async for piece in pieces:
                        for event in events.push(piece):
                            for delta in gatherer.take(event):
                                yield delta
                        if events.is_done:
                            break
                    for delta in _last(engine, url, events, gatherer):
                        yield delta
                    await read_tail(pieces)
                return
        except EngineRefusedRequest as error:
            if not server.dialect.learn(sent, error.message):
                raise
            log.info("chat_field_refused", engine=engine, error=error.message)


def _last(engine: str, url: str, events: ServerEvents, gatherer: Gatherer) -> list[Delta]:
    deltas = [delta for event in events.end() for delta in gatherer.take(event)]
    if not (events.is_done or gatherer.has_finished):
        raise EngineFailed(f"{engine} at {url} stopped in the middle of its answer.")
    return [*deltas, *gatherer.end()]


async def read_tail(pieces: AsyncIterator[bytes]) -> None:
    """Read to the end of an answer whose last word is known: then its connection can be kept."""
    try:
        async with asyncio.timeout(TAIL_S):
            async for _ in pieces:
                pass
    except (TimeoutError, httpx.HTTPError):
        return


@asynccontextmanager
async def posted(
    engine: str, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> AsyncGenerator[AsyncIterator[bytes]]:
    """Post JSON and stream the answer's bytes. Raises our error for a status of 400 or more."""
    async with client.stream("POST", path, json=body) as response:
        if not response.is_success:
            await response.aread()
            raise failure_of(engine, str(client.base_url), response)
        yield response.aiter_bytes()
