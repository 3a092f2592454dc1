"""llama.cpp's own server: a slot with a warm prompt for each conversation.

An http(s) address is that of ``llama-server``. A ws(s) address is that of the WebSocket service
which some telephone systems put before llama.cpp: see ``llama_socket``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Protocol

from pydantic import Field, SecretStr

from parley.core.errors import EngineFailed, ParleyError
from parley.core.log import get_logger
from parley.engines.llm.chat_api import Dialect, RemoteChatOptions, chat_body, posted, replies
from parley.engines.llm.llama_socket import LlamaSocket
from parley.engines.llm.messages import plain_messages
from parley.engines.llm.slots import Slots
from parley.engines.llm.warm_prompts import WarmPrompts
from parley.engines.remote.addresses import AnyUrls, without_password
from parley.engines.remote.clients import http_client
from parley.engines.remote.failures import failure_of, told_plainly
from parley.engines.remote.instances import Instances
from parley.engines.remote.standing import standing
from parley.engines.spec import ChatOptions, Delta, EngineSpec, Message, Status, ToolSchema

log = get_logger(__name__)

NAME = "llama.cpp"
PROPS_LIMIT_S = 3.0
_MOST_SLOTS = 1024


class LlamaCppOptions(RemoteChatOptions):
    """Options of the engine ``llama_cpp``."""

    base_url: AnyUrls = Field(
        ("http://127.0.0.1:8080",),
        description="Where llama.cpp's server answers, http(s) or ws(s); or a list of such.",
    )
    api_key: SecretStr = Field(SecretStr(""), description="What the server's --api-key says.")
    model: str = Field("", description="The model, for a server that has several.")
    reasoning: bool | None = Field(
        None, description="Whether a model that can reason does so before it speaks."
    )
    pins_slots: bool = Field(True, description="Keeps each conversation's prompt in its own slot.")
    use_rag: bool | None = Field(
        None, description="ws(s) only: whether the service looks things up in its documents."
    )


class LlamaConnection(Protocol):
    """A server of either sort."""

    async def warm_up(self) -> None: ...

    async def check(self) -> Status: ...

    def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]: ...

    async def close(self) -> None: ...


class LlamaServer:
    """One llama-server."""

    def __init__(self, url: str, options: LlamaCppOptions) -> None:
        self.url = url.removesuffix("/v1")
        self._options = options
        self._http = http_client(
            self.url,
            api_key=options.api_key.get_secret_value(),
            timeout_s=options.timeout_s,
        )
        self._slots: Slots | None = None
        self._warm = WarmPrompts()
        self._counting = asyncio.Lock()
        self.dialect = Dialect("max_tokens")

    async def warm_up(self) -> None:
        try:
            await self._learn_slots()
        except ParleyError as error:
            log.warning("llama_not_ready", url=without_password(self.url), error=error.message)

    async def check(self) -> Status:
        with told_plainly(NAME, self.url):
            response = await self._http.get("health")
        if response.status_code in (404, 405):
            return Status(True, "answers")
        if response.status_code >= 400:
            failure = failure_of(NAME, self.url, response)
            return Status(False, failure.message, failure.hint or "Wait until it has started.")
        return Status(True, "ready")

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        slots = await self._learn_slots() if options.conversation else Slots(0)
        body = self._body(messages, tools, options)
        with slots.using(options.conversation) as slot:
            body["cache_prompt"] = self._warm.takes(slot, options.tenant)
            if slot is not None:
                body["id_slot"] = slot
            try:
                async with aclosing(replies(NAME, self.url, self, body)) as deltas:
                    async for delta in deltas:
                        yield delta
            except EngineFailed:
                # It may have been started anew with fewer slots, and a request that is pinned to
                # one that doesn't exist waits for ever.
                self._slots = None
                raise

    def ask(self, body: dict[str, Any]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return posted(NAME, self._http, "v1/chat/completions", body)

    async def close(self) -> None:
        await self._http.aclose()

    def _body(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> dict[str, Any]:
        body = chat_body(plain_messages(messages, keeps_parts=True), tools, options)
        if self._options.reasoning is not None:
            body["chat_template_kwargs"] = {"enable_thinking": self._options.reasoning}
        return body

    async def _learn_slots(self) -> Slots:
        """Ask the server once how many slots it has. One that doesn't say gets no pins."""
        if self._counting.locked():
            # Others needn't wait in line for a server that may be hanging.
            return Slots(0)
        async with self._counting:
            if self._slots is None:
                self._slots = Slots(await self._count_slots() if self._options.pins_slots else 0)
            return self._slots

    async def _count_slots(self) -> int:
        with told_plainly(NAME, self.url):
            response = await self._http.get("props", timeout=PROPS_LIMIT_S)
            if response.status_code == 503:
                raise failure_of(NAME, self.url, response)
            if response.status_code >= 400:
                return 0
            count = int(response.json().get("total_slots") or 0)
            return max(0, min(count, _MOST_SLOTS))


class LlamaCppChatter:
    """Implements ``Chatter`` over one or several llama.cpp servers."""

    def __init__(self, options: LlamaCppOptions) -> None:
        self._options = options
        self._servers = Instances[LlamaConnection](options.base_url, self._connect, _disconnect)

    async def warm_up(self) -> None:
        await asyncio.gather(*(each.client.warm_up() for each in self._servers.all))

    async def check(self) -> Status:
        return await standing(self._servers.all, _check)

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        asked = self._options.asked(options, self._options.model)
        async with (
            self._servers.lease(options.conversation) as instance,
            aclosing(instance.client.chat(messages, tools, asked)) as deltas,
        ):
            async for delta in deltas:
                yield delta

    def grammar(self) -> str:
        return ""

    async def close(self) -> None:
        await self._servers.close()

    def _connect(self, url: str) -> LlamaConnection:
        if url.startswith("ws"):
            return LlamaSocket(
                url, timeout_s=self._options.timeout_s, use_rag=self._options.use_rag
            )
        return LlamaServer(url, self._options)


async def _check(connection: LlamaConnection) -> Status:
    return await connection.check()


async def _disconnect(connection: LlamaConnection) -> None:
    await connection.close()


def _is_available(options: LlamaCppOptions) -> bool:
    return "base_url" in options.model_fields_set


SPEC = EngineSpec(
    kind="llm",
    name="llama_cpp",
    options=LlamaCppOptions,
    open=LlamaCppChatter,
    summary="llama.cpp's server",
    available=_is_available,
    keeps_format=True,
    environment={
        "base_url": "LLAMA_URL",
        "max_tokens": "LLM_MAX_TOKENS",
        "temperature": "LLM_TEMPERATURE",
    },
)
