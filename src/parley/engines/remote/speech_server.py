"""A server with OpenAI's audio routes: its address, its client, and what its failures mean.

Plain httpx and not OpenAI's SDK: the SDK has no route for Speaches' models and voices, wraps each
chunk of sound once more, and takes a second to import; what it would add here is one multipart
form and one JSON body.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from parley.core.errors import EngineFailed, ModelMissing, ParleyError
from parley.engines.remote.addresses import without_password
from parley.engines.remote.clients import http_client
from parley.engines.remote.failures import failure_of, told_plainly

OFFICIAL_URL = "https://api.openai.com/v1"
_OFFICIAL_HOST = "api.openai.com"


class SpeechServer:
    """One server, called ``name`` to people. ``api`` is the URL that its routes begin with."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        api_key: str = "",
        timeout_s: float = 30.0,
        pulls_as: str = "",
    ) -> None:
        self.name = name
        self.url = url
        self.api = api_of(url)
        self.root = self.api.removesuffix("/v1")
        self._pulls_as = pulls_as
        self._timeout_s = timeout_s
        self._client = http_client(self.api, api_key=api_key, timeout_s=timeout_s)

    @property
    def where(self) -> str:
        """The address as people may see it."""
        return without_password(self.url)

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        *,
        model: str = "",
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        silent_s: float | None = None,
    ) -> AsyncGenerator[httpx.Response]:
        """An answer of less than 400, its body still to be read. Leaving closes the connection.

        ``model`` is what a 404 is about, ``silent_s`` how much longer than usual the server may
        be silent. Raises ``ModelMissing`` and all that ``told_plainly`` raises.
        """
        with told_plainly(self.name, self.url):
            timeout = httpx.Timeout(
                self._timeout_s + (silent_s or 0.0), connect=self._client.timeout.connect
            )
            request = self._client.build_request(
                method, path, json=body, data=form, files=files, timeout=timeout
            )
            # A form in one piece is one write; its parts by themselves would be ten.
            await request.aread()
            response = await self._client.send(request, stream=True)
            try:
                if response.status_code >= 300:
                    await response.aread()
                    raise self._failure(response, path, model)
                yield response
            finally:
                await response.aclose()

    async def get(self, path: str, *, model: str = "") -> Any:
        """The JSON that a route answers."""
        async with self.ask("GET", path, model=model) as response:
            await response.aread()
            return response.json()

    async def offers(self, path: str) -> bool:
        """Whether the server has this POST route, found out by asking it for nothing."""
        with told_plainly(self.name, self.url):
            response = await self._client.post(path, json={})
            if response.status_code in (404, 405, 501) and not _is_about_model(response.text):
                return False
            if response.status_code in (401, 403):
                raise failure_of(self.name, self.url, response)
            return True

    def model_missing(self, model: str, says: str = "") -> ModelMissing:
        hint = "Set model to one that it has."
        if self._pulls_as:
            hint = f"Run: parley models pull {self._pulls_as}:{model}"
        return ModelMissing(
            says or f"{self.name} at {self.where} has no model {model}.", model=model, hint=hint
        )

    async def close(self) -> None:
        await self._client.aclose()

    def _failure(self, response: httpx.Response, path: str, model: str) -> ParleyError:
        if response.is_redirect:
            return EngineFailed(
                f"{self.name} at {self.where} sends requests elsewhere.",
                hint=f"Set its address to {response.headers.get('location', 'the right one')}.",
            )
        failure = failure_of(self.name, self.url, response)
        if response.status_code != 404:
            return failure
        if model and _is_about_model(response.text):
            if "not supported" in response.text:
                failure.hint = f"{model} is of another kind; choose a model for this work."
                return failure
            return self.model_missing(model, failure.message)
        failure.hint = f"Is its address right? It has no {urlsplit(self.api).path}/{path}."
        return failure


def api_of(url: str) -> str:
    """Where the routes begin: addresses are given with and without the ``/v1`` at their end."""
    return url if urlsplit(url).path.strip("/") else f"{url}/v1"


def is_official(url: str) -> bool:
    return urlsplit(url).hostname == _OFFICIAL_HOST


def listed(answer: Any, key: str) -> list[dict[str, Any]]:
    """The entries of a list that servers wrap in an object; a plain name is an entry's id."""
    entries = cast("dict[str, Any]", answer).get(key) if isinstance(answer, dict) else answer
    if not isinstance(entries, list):
        return []
    found: list[dict[str, Any]] = []
    for entry in cast("list[Any]", entries):
        if isinstance(entry, dict):
            found.append(cast("dict[str, Any]", entry))
        elif isinstance(entry, str):
            found.append({"id": entry})
    return found


def _is_about_model(answer: str) -> bool:
    return "model" in answer.lower()
