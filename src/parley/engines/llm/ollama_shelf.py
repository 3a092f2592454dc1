"""The models that an Ollama has: listed, fetched with progress, removed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx

from parley.core.errors import EngineFailed, ModelMissing, NotFound
from parley.engines.keeper import Model, PullProgress
from parley.engines.llm.event_lines import JsonLines
from parley.engines.remote.addresses import without_password
from parley.engines.remote.failures import failure_of, told_plainly

NAME = "Ollama"
# A registry may be silent for a while before a layer begins, and while a big one is verified.
PULL_SILENCE_S = 120.0


def full_name(model: str) -> str:
    """``llama3.2`` is ``llama3.2:latest``; a registry's port is no tag."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


class OllamaShelf:
    """The models of the Ollama at ``url``."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._http = client

    async def models(self) -> Sequence[Model]:
        with told_plainly(NAME, self._url):
            response = await self._http.get("api/tags")
            self.raise_for(response)
            return [
                Model(str(each.get("name") or each["model"]), int(each.get("size") or 0))
                for each in response.json()["models"]
            ]

    async def pull(self, model: str) -> AsyncGenerator[PullProgress]:
        """Closing the iterator stops the download; what came so far stays for the next try."""
        progress = _Layers(model)
        timeout = httpx.Timeout(PULL_SILENCE_S, connect=self._http.timeout.connect)
        body = {"model": model, "name": model, "stream": True}
        with told_plainly(NAME, self._url):
            async with self._http.stream("POST", "api/pull", json=body, timeout=timeout) as answer:
                if answer.status_code >= 400:
                    await answer.aread()
                    raise self._no_such(model, failure_of(NAME, self._url, answer).message)
                lines = JsonLines()
                async for piece in answer.aiter_bytes():
                    for line in lines.push(piece):
                        yield self._step(progress, line)
                for line in lines.end():
                    yield self._step(progress, line)
        if not progress.is_complete:
            raise EngineFailed(
                f"{self._where} stopped in the middle of fetching {model}.",
                hint="Pull it again: it goes on where it stopped.",
            )

    async def remove(self, model: str) -> None:
        body = {"model": model, "name": model}
        with told_plainly(NAME, self._url):
            response = await self._http.request("DELETE", "api/delete", json=body)
            if response.status_code == 404:
                raise NotFound(f"{self._where} has no model {model}.")
            self.raise_for(response)

    def raise_for(self, response: httpx.Response) -> None:
        """Raises our error for an answer of 400 or more."""
        if response.status_code >= 400:
            raise failure_of(NAME, self._url, response)

    def _step(self, progress: _Layers, line: dict[str, Any]) -> PullProgress:
        if line.get("error"):
            raise self._no_such(model=progress.model, says=str(line["error"]))
        return progress.step(line)

    def _no_such(self, model: str, says: str) -> EngineFailed:
        told = f"{self._where} can't fetch {model}: {' '.join(says.split())[:300]}"
        if "file does not exist" in says or "not found" in says:
            return ModelMissing(told, model=model, hint="Look its name up at ollama.com/library.")
        return EngineFailed(told)

    @property
    def _where(self) -> str:
        return f"{NAME} at {without_password(self._url)}"


class _Layers:
    """A model comes in layers, each with a size of its own; progress is their sum."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.is_complete = False
        self._layers: dict[str, tuple[int, int]] = {}

    def step(self, line: dict[str, Any]) -> PullProgress:
        says = str(line.get("status") or "")
        digest, total = str(line.get("digest") or ""), int(line.get("total") or 0)
        if digest and total:
            # A line that says nothing of what is done must not turn the bar back.
            done_before = self._layers.get(digest, (0, 0))[0]
            self._layers[digest] = (max(done_before, int(line.get("completed") or 0)), total)
        self.is_complete = self.is_complete or says == "success"
        done = sum(done for done, _ in self._layers.values())
        return PullProgress(self.model, done, sum(t for _, t in self._layers.values()), says)
