"""What a talker is, a server that writes audio tokens for a text; and what all of them share."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, cast

import httpx

from parley.core.errors import EngineFailed, ModelMissing
from parley.engines.remote.addresses import without_password
from parley.engines.remote.clients import http_client
from parley.engines.remote.failures import failure_of, status_failure, told_plainly
from parley.engines.tts.orpheus.prompt import TextTokens

STOP_TEXT = "<custom_token_2>"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How freely the model chooses. ``seed`` None leaves chance to the server."""

    temperature: float = 0.6
    top_p: float = 0.9
    repetition_penalty: float = 1.1
    min_tokens: int = 28
    max_tokens: int = 1200
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class TalkRequest:
    """``text`` is ``name: what to say``. ``model`` "" is the one that the server has."""

    text: str
    sampling: Sampling
    model: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Some ids as they came. ``finish`` comes last: stop, or length where the limit ended it.

    ``characters`` is how much has been written so far that was no token.
    """

    ids: Sequence[int]
    finish: str = ""
    characters: int = 0


class Talker(Protocol):
    """One server. Closing the iterator of ``talk`` ends the request there."""

    def talk(self, request: TalkRequest) -> AsyncGenerator[Tokens]: ...

    async def ping(self) -> None:
        """Raises ``EngineFailed`` when the server doesn't answer."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class TalkerSetup:
    """What a talker of any kind is made from; ``tokens`` None asks the server for ids."""

    model: str = ""
    api_key: str = field(default="", repr=False)
    token_timeout_s: float = 10.0
    tokens: TextTokens | None = None


class HttpTalker(ABC):
    """The HTTP half: a client for one URL, streams of lines, failures as ours."""

    label: ClassVar[str] = "The talker"
    missing_model_hint: ClassVar[str] = "Load it there, or correct the option model."

    ping_path: ClassVar[str] = "/v1/models"

    def __init__(self, url: str, setup: TalkerSetup) -> None:
        self.url = url.removesuffix("/v1")
        self.where = without_password(self.url)
        self.setup = setup
        self._client = http_client(self.url, api_key=setup.api_key, timeout_s=setup.token_timeout_s)

    @abstractmethod
    def talk(self, request: TalkRequest) -> AsyncGenerator[Tokens]:
        """Ask for the tokens of a text; raises ``broken_off()`` when they end too soon."""

    async def ping(self) -> None:
        await self.ask("GET", self.ping_path)

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One short question, answered in JSON."""
        with told_plainly(self.label, self.url):
            response = await self._client.request(method, path, json=body)
            if response.status_code >= 400:
                raise failure_of(self.label, self.url, response)
            return cast("dict[str, Any]", response.json())

    async def lines(
        self, path: str, body: Mapping[str, Any], model: str
    ) -> AsyncGenerator[dict[str, Any]]:
        """The JSON objects of a stream, one per line or per server-sent event."""
        with told_plainly(self.label, self.url):
            async with self._client.stream("POST", path, json=body) as response:
                if response.status_code >= 400:
                    await response.aread()
                    self._refuse(response, model)
                async for line in response.aiter_lines():
                    line = line.removeprefix("data:").strip()
                    if line == "[DONE]":
                        return
                    if line.startswith("{"):
                        yield self._read(line)

    def broken_off(self) -> EngineFailed:
        """The error for a stream that ended without saying that it was the end."""
        return EngineFailed(f"{self.label} at {self.where} broke off in the middle of an answer.")

    def _refuse(self, response: httpx.Response, model: str) -> None:
        failure = failure_of(self.label, self.url, response)
        if response.status_code == 404 and "model" in failure.message.lower():
            raise ModelMissing(
                failure.message,
                model=model,
                hint=self.missing_model_hint.format(model=model or "the model"),
            )
        raise failure

    def _read(self, line: str) -> dict[str, Any]:
        data = cast("dict[str, Any]", json.loads(line))
        if "error" in data:
            raise status_failure(self.label, self.url, 500, line)
        return data
