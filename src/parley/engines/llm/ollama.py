"""Ollama, with its models.

Chat goes over Ollama's own ``/api/chat`` rather than over its OpenAI route, because only there can
a request set the size of the context (with the server's default, the beginning of a long
conversation is cut off without a word), how long the model stays loaded, and that a model which
could reason answers at once; tool calls come whole, with parsed arguments. For gateways that pass
only OpenAI's route there is the option ``route: openai``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Literal

from pydantic import Field

from parley.core.errors import (
    EngineRefusedRequest,
    EngineUnavailable,
    ModelMissing,
    NotFound,
    ParleyError,
)
from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.engines.keeper import Model, PullProgress
from parley.engines.llm.chat_api import Dialect, RemoteChatOptions, chat_body, posted, replies
from parley.engines.llm.messages import plain_messages
from parley.engines.llm.ollama_chat import native_body, native_replies
from parley.engines.llm.ollama_shelf import OllamaShelf, full_name
from parley.engines.llm.openai import is_ollama_name
from parley.engines.remote.addresses import HttpUrls, without_password
from parley.engines.remote.clients import http_client
from parley.engines.remote.failures import told_plainly
from parley.engines.remote.instances import Instances
from parley.engines.remote.standing import standing
from parley.engines.spec import ChatOptions, Delta, EngineSpec, Message, Status, ToolSchema

log = get_logger(__name__)

NAME = "Ollama"
ENGINE = "ollama"
# Start-up waits this long for a model to be loaded; after that it loads on behind the scenes.
WARM_UP_S = 20.0
LOAD_LIMIT_S = 300.0


class OllamaOptions(RemoteChatOptions):
    """Options of the engine ``ollama``."""

    base_url: HttpUrls = Field(
        ("http://127.0.0.1:11434",), description="Where Ollama answers, or a list of such."
    )
    model: str = Field("", description="The model; llama3.2:3b if nothing says otherwise.")
    shared_model: str = Field("", description="The model that LLM_MODEL names; model beats it.")
    context_tokens: int = Field(
        8192, ge=256, description="Room for the conversation; more takes more memory."
    )
    keep_alive: str = Field(
        "30m", description="How long the model stays loaded between requests; -1m is for ever."
    )
    reasoning: bool | None = Field(
        False, description="Whether a model that can reason does so first; null leaves it open."
    )
    route: Literal["ollama", "openai"] = Field(
        "ollama", description="The route to chat over; openai where a gateway passes only that."
    )

    @property
    def named(self) -> str:
        return self.model or self.shared_model or "llama3.2:3b"


class OllamaServer:
    """One Ollama."""

    def __init__(self, url: str, options: OllamaOptions) -> None:
        self.url = url.removesuffix("/v1").removesuffix("/api")
        self._options = options
        self.http = http_client(self.url, timeout_s=options.timeout_s)
        self.shelf = OllamaShelf(self.url, self.http)
        self.dialect = Dialect("max_tokens")
        self._loading: asyncio.Task[None] | None = None

    async def warm_up(self) -> None:
        """Have the model loaded; one that takes long goes on loading when this returns."""
        if self._loading is None or self._loading.done():
            self._loading = begin(self._load(), "ollama-load")
        await asyncio.wait([self._loading], timeout=WARM_UP_S)

    async def check(self) -> Status:
        model = self._options.named
        present = await self.shelf.models()
        if full_name(model) in (full_name(each.id) for each in present):
            return Status(True, model)
        return Status(False, f"it has no model {model}", _pull_hint(model), missing_model=model)

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        if self._options.route == "openai":
            body = chat_body(plain_messages(messages), tools, options)
            reply = replies(NAME, self.url, self, body)
        else:
            body = native_body(messages, tools, options)
            body["keep_alive"] = self._options.keep_alive
            body["options"]["num_ctx"] = self._options.context_tokens
            if self._options.reasoning is not None:
                body["think"] = self._options.reasoning
            reply = native_replies(NAME, self.url, self.http, body)
        try:
            async with aclosing(reply) as deltas:
                async for delta in deltas:
                    yield delta
        except ParleyError as error:
            explained = _explained(error, options.model)
            if explained is None:
                raise
            raise explained from error

    def ask(self, body: dict[str, Any]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return posted(NAME, self.http, "v1/chat/completions", body)

    async def close(self) -> None:
        if self._loading is not None:
            await end(self._loading)
        await self.http.aclose()

    async def _load(self) -> None:
        """A request without a prompt loads the model; other context sizes would load it anew."""
        body: dict[str, Any] = {
            "model": self._options.named,
            "keep_alive": self._options.keep_alive,
            "options": {"num_ctx": self._options.context_tokens},
            "stream": False,
        }
        try:
            with told_plainly(NAME, self.url):
                response = await self.http.post("api/generate", json=body, timeout=LOAD_LIMIT_S)
                self.shelf.raise_for(response)
        except ParleyError as error:
            log.warning("ollama_not_warm", url=without_password(self.url), error=error.message)


class OllamaChatter:
    """Implements ``Chatter`` and ``ModelKeeper`` over one or several Ollamas."""

    def __init__(self, options: OllamaOptions) -> None:
        self._options = options
        self._servers = Instances(options.base_url, self._connect, OllamaServer.close)

    async def warm_up(self) -> None:
        await asyncio.gather(*(each.client.warm_up() for each in self._servers.all))

    async def check(self) -> Status:
        return await standing(self._servers.all, OllamaServer.check)

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        asked = self._options.asked(options, self._options.named)
        async with (
            self._servers.lease(options.conversation) as instance,
            aclosing(instance.client.chat(messages, tools, asked)) as deltas,
        ):
            async for delta in deltas:
                yield delta

    async def models(self) -> Sequence[Model]:
        """What the Ollamas that answer have between them, and the model we want of them."""
        found: dict[str, Model] = {}
        failures: list[ParleyError] = []
        for each in self._servers.all:
            try:
                for model in await each.client.shelf.models():
                    found.setdefault(model.id, model)
            except ParleyError as error:
                failures.append(error)
        if len(failures) == len(self._servers.all):
            raise failures[0]
        wanted = self._options.named
        if full_name(wanted) not in (full_name(each) for each in found):
            found[wanted] = Model(wanted, is_present=False)
        return list(found.values())

    async def pull(self, model: str) -> AsyncGenerator[PullProgress]:
        """Fetch the model to every Ollama that lacks it and can be reached, one after the other.

        Where none lacks it, it is brought up to date on all of them.
        """
        asked = await self._without(model) or [each.client for each in self._servers.all]
        failures: list[EngineUnavailable] = []
        for server in asked:
            try:
                async with aclosing(server.shelf.pull(model)) as steps:
                    async for progress in steps:
                        yield progress
            except ModelMissing:
                raise
            except EngineUnavailable as error:
                failures.append(error)
        if len(failures) == len(asked):
            raise failures[0]

    async def remove(self, model: str) -> None:
        """Remove it wherever it is."""
        missing: list[NotFound] = []
        for each in self._servers.all:
            try:
                await each.client.shelf.remove(model)
            except NotFound as error:
                missing.append(error)
        if len(missing) == len(self._servers.all):
            raise missing[0]

    def grammar(self) -> str:
        return ""

    async def close(self) -> None:
        await self._servers.close()

    async def _without(self, model: str) -> list[OllamaServer]:
        """The Ollamas that say they don't have it."""
        lacking: list[OllamaServer] = []
        for each in self._servers.all:
            try:
                present = {full_name(held.id) for held in await each.client.shelf.models()}
            except ParleyError as error:
                log.debug(
                    "ollama_models_unknown", url=without_password(each.url), error=error.message
                )
                continue
            if full_name(model) not in present:
                lacking.append(each.client)
        return lacking

    def _connect(self, url: str) -> OllamaServer:
        return OllamaServer(url, self._options)


def _pull_hint(model: str) -> str:
    return f"Run: parley models pull {ENGINE}:{model}"


def _explained(error: ParleyError, model: str) -> ParleyError | None:
    """Ollama's own words for two things, made ours."""
    says = error.message.lower()
    if "model" in says and "not found" in says:
        return ModelMissing(error.message, model=model, hint=_pull_hint(model))
    if isinstance(error, EngineRefusedRequest) and "does not support tools" in says:
        hint = "Choose a model that can call tools, such as llama3.2:3b, or offer it no tools."
        return EngineRefusedRequest(error.message, hint=hint)
    return None


def _is_available(options: OllamaOptions) -> bool:
    return "base_url" in options.model_fields_set


SPEC = EngineSpec(
    kind="llm",
    name=ENGINE,
    options=OllamaOptions,
    open=OllamaChatter,
    summary="Ollama",
    available=_is_available,
    keeps_format=True,
    environment={
        "base_url": "OLLAMA_BASE_URL",
        "model": "OLLAMA_MODEL",
        "shared_model": "LLM_MODEL",
        "max_tokens": "LLM_MAX_TOKENS",
        "temperature": "LLM_TEMPERATURE",
    },
    owns_model=is_ollama_name,
)
