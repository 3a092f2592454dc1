"""Any chat server that speaks OpenAI's API, through OpenAI's own SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import httpx
from pydantic import Field, JsonValue, SecretStr

from parley.core.errors import EngineUnavailable, ModelMissing, ParleyError
from parley.core.log import get_logger
from parley.engines.llm.chat_api import Dialect, LimitName, RemoteChatOptions, chat_body, replies
from parley.engines.llm.messages import plain_messages
from parley.engines.remote.addresses import HttpUrls, is_nearby, without_password
from parley.engines.remote.clients import http_client
from parley.engines.remote.failures import failure_of, told_plainly
from parley.engines.remote.instances import Instances
from parley.engines.remote.standing import standing
from parley.engines.spec import ChatOptions, Delta, EngineSpec, Message, Status, ToolSchema

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = get_logger(__name__)

NAME = "OpenAI"
OFFICIAL_URL = "https://api.openai.com/v1"
# These understand max_completion_tokens for all models, and max_tokens only for old ones.
_OFFICIAL_HOSTS = ("api.openai.com", ".openai.azure.com", ".api.openai.com")
_SHOWN_MODELS = 5


class OpenAIOptions(RemoteChatOptions):
    """Options of the engine ``openai``."""

    base_url: HttpUrls = Field(
        (OFFICIAL_URL,), description="Where it answers, up to and with /v1; or a list of such."
    )
    api_key: SecretStr = Field(SecretStr(""), description="The key; many local servers need none.")
    model: str = Field("gpt-4o-mini", min_length=1, description="The model.")
    limit_name: LimitName | None = Field(
        None, description="What the server calls the limit of a reply; found out if not set."
    )
    checks_model: bool = Field(
        True, description="Off for gateways that serve models which they don't list."
    )
    extra_body: dict[str, JsonValue] = Field(
        default_factory=dict, description="Fields to add to each request as they stand."
    )


class OpenAIServer:
    """One server: the SDK's client over an HTTP client of our own."""

    def __init__(self, url: str, options: OpenAIOptions) -> None:
        self.url = url
        key = options.api_key.get_secret_value()
        self._url = url if urlsplit(url).path else f"{url}/v1"
        # The SDK insists on a key, and local servers don't look at it.
        self._key = key or "none"
        self._model = options.model
        self._checks_model = options.checks_model
        self._http = http_client(self._url, api_key=key, timeout_s=options.timeout_s)
        self._sdk: AsyncOpenAI | None = None
        self.dialect = Dialect(options.limit_name or _limit_name(url))

    async def load(self) -> AsyncOpenAI:
        """The SDK's client. Importing the SDK takes a second or two: once, and in a thread."""
        if self._sdk is None:
            await asyncio.to_thread(__import__, "openai")
            from openai import AsyncOpenAI

            # The SDK is typed for httpx2 since its version 3, and takes clients of httpx as well.
            client = cast(Any, self._http)
            self._sdk = self._sdk or AsyncOpenAI(
                api_key=self._key, base_url=self._url, max_retries=0, http_client=client
            )
        return self._sdk

    @asynccontextmanager
    async def ask(self, body: dict[str, Any]) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The answer's bytes: parsing each chunk into the SDK's models would cost more than
        everything else here."""
        sdk = await self.load()
        from openai import APIConnectionError, APIStatusError, OpenAIError

        # All fields go as extra ones, which the SDK sends as they are; what it takes by name it
        # would first walk through and convert.
        create = sdk.chat.completions.with_streaming_response.create
        try:
            async with create(model="", messages=[], stream=True, extra_body=body) as answer:
                yield answer.iter_bytes()
        except APIStatusError as error:
            response = cast(httpx.Response, error.response)
            raise self._failure(response, str(body.get("model", ""))) from error
        except APIConnectionError as error:
            if isinstance(error.__cause__, httpx.HTTPError):
                raise error.__cause__ from error
            raise EngineUnavailable(
                f"{NAME} at {without_password(self.url)} can't be reached."
            ) from error
        except OpenAIError as error:
            raise EngineUnavailable(f"OpenAI's SDK refuses: {error}") from error

    async def check(self) -> Status:
        if not self._key_is_set and self._is_official:
            return Status(False, "no key", "Set OPENAI_API_KEY.")
        with told_plainly(NAME, self.url):
            response = await self._http.get("models")
            if response.status_code in (404, 405):
                # It has no list of models; many small servers don't.
                return Status(True, self._model)
            if response.status_code >= 400:
                raise failure_of(NAME, self.url, response)
            listed = _listed(response.json())
        if self._checks_model and listed and self._model not in listed:
            some = ", ".join(listed[:_SHOWN_MODELS]) + (", …" if listed[_SHOWN_MODELS:] else "")
            return Status(False, f"no model {self._model}", f"Set model to one it has: {some}.")
        return Status(True, self._model)

    async def close(self) -> None:
        await self._http.aclose()

    @property
    def _key_is_set(self) -> bool:
        return self._key != "none"

    @property
    def _is_official(self) -> bool:
        return urlsplit(self._url).hostname == "api.openai.com"

    def _failure(self, response: httpx.Response, model: str) -> ParleyError:
        failure = failure_of(NAME, self.url, response)
        if response.status_code == 404 and "model" in failure.message.lower():
            return ModelMissing(
                failure.message, model=model, hint="Set model to one that the server has."
            )
        return failure


class OpenAIChatter:
    """Implements ``Chatter`` over one or several OpenAI-compatible servers."""

    def __init__(self, options: OpenAIOptions) -> None:
        self._options = options
        self._servers = Instances(options.base_url, self._connect, OpenAIServer.close)

    async def warm_up(self) -> None:
        """Import the SDK and open a connection to each server; whether they answer is for
        ``check`` to say."""
        await asyncio.gather(*(each.client.load() for each in self._servers.all))
        await self.check()

    async def check(self) -> Status:
        return await standing(self._servers.all, OpenAIServer.check)

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        asked = self._options.asked(options, self._options.model)
        async with self._servers.lease(options.conversation) as instance:
            is_small = is_nearby(instance.url)
            plain = plain_messages(messages, keeps_parts=True, smooth=is_small)
            body = {**chat_body(plain, tools, asked), **self._options.extra_body}
            reply = replies(NAME, instance.url, instance.client, body)
            async with aclosing(reply) as deltas:
                async for delta in deltas:
                    yield delta

    def grammar(self) -> str:
        return ""

    async def close(self) -> None:
        await self._servers.close()

    def _connect(self, url: str) -> OpenAIServer:
        return OpenAIServer(url, self._options)


def _limit_name(url: str) -> LimitName:
    host = f".{urlsplit(url).hostname or ''}"
    is_official = any(host.endswith(f".{known.lstrip('.')}") for known in _OFFICIAL_HOSTS)
    return "max_completion_tokens" if is_official else "max_tokens"


def _listed(answer: Any) -> list[str]:
    entries = cast("dict[str, Any]", answer).get("data") if isinstance(answer, dict) else answer
    if not isinstance(entries, list):
        return []
    found = [cast("dict[str, Any]", e) for e in cast("list[Any]", entries) if isinstance(e, dict)]
    return [str(entry["id"]) for entry in found if entry.get("id")]


def is_ollama_name(model: str) -> bool:
    """Whether a model is named as Ollama names them: ``name:tag``. OpenAI's own fine-tuned models
    begin with ``ft:``."""
    name, colon, tag = model.partition(":")
    return bool(colon and name and tag) and name != "ft" and "/" not in tag


def _is_available(options: OpenAIOptions) -> bool:
    return bool(options.api_key.get_secret_value()) or "base_url" in options.model_fields_set


def _owns_model(model: str) -> bool:
    return not is_ollama_name(model) and not model.endswith(".gguf")


SPEC = EngineSpec(
    kind="llm",
    name="openai",
    options=OpenAIOptions,
    open=OpenAIChatter,
    summary="OpenAI, or any server with its chat API",
    available=_is_available,
    keeps_format=True,
    environment={
        "base_url": "OPENAI_BASE_URL",
        "api_key": "OPENAI_API_KEY",
        "model": "LLM_MODEL",
        "max_tokens": "LLM_MAX_TOKENS",
        "temperature": "LLM_TEMPERATURE",
    },
    owns_model=_owns_model,
    owns_any_with="OPENAI_BASE_URL",
)
