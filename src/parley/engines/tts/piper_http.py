"""Piper's own HTTP server, as version 1.8 and older ones have it.

Newer servers speak at ``/synthesize``, those before at ``/``: with JSON if they can list their
voices, else with the bare text. Their ``/download`` and ``/all-voices`` are never asked: they
reach for the internet.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, cast

import httpx

from parley.core.audio import Audio
from parley.engines.remote.clients import http_client
from parley.engines.remote.failures import failure_of, told_plainly
from parley.engines.remote.wav import WavStream
from parley.engines.spec import Status, Voice
from parley.engines.tts.piper_request import ENGINE, PiperRequest

_Way = Literal["/synthesize", "/", "bare"]


class PiperHttp:
    """One server, and the way in which it wants to be asked."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._client = http_client(url, timeout_s=timeout_s)
        self._way: _Way | None = None
        self._voices: tuple[Voice, ...] = ()

    async def speak(self, request: PiperRequest) -> AsyncGenerator[Audio]:
        """Raises our errors only."""
        with told_plainly(ENGINE, self._url):
            way = self._way or "/synthesize"
            async with self._ask(request, way) as answer:
                if answer.status_code < 400 or self._way or answer.status_code not in (404, 405):
                    self._way = self._way or (way if answer.status_code < 400 else None)
                    async for audio in self._sound(answer):
                        yield audio
                    return
            self._way = await self._older_way()
            async with self._ask(request, self._way) as answer:
                async for audio in self._sound(answer):
                    yield audio

    async def status(self) -> Status:
        """Raises our errors when the server can't be reached."""
        with told_plainly(ENGINE, self._url):
            answer = await self._client.get("/voices")
            if answer.status_code in (404, 405):
                return Status(True, "Piper, an older server with one voice")
            if answer.status_code >= 400:
                raise failure_of(ENGINE, self._url, answer)
            listed: Any = answer.json()
            if not isinstance(listed, dict):
                raise ValueError("a list of voices that is no object")
            self._voices = _voices(cast("dict[str, Any]", listed))
        return Status(True, f"Piper, {len(self._voices)} voices")

    def voices(self) -> tuple[Voice, ...]:
        return self._voices

    async def close(self) -> None:
        await self._client.aclose()

    def _ask(self, request: PiperRequest, way: _Way) -> AbstractAsyncContextManager[httpx.Response]:
        if way == "bare":
            kind = {"Content-Type": "text/plain; charset=utf-8"}
            return self._client.stream("POST", "/", content=request.text.encode(), headers=kind)
        return self._client.stream("POST", way, json=request.as_http())

    async def _older_way(self) -> _Way:
        answer = await self._client.get("/voices")
        return "bare" if answer.status_code >= 400 else "/"

    async def _sound(self, answer: httpx.Response) -> AsyncGenerator[Audio]:
        if answer.status_code >= 400:
            await answer.aread()
            raise failure_of(ENGINE, self._url, answer)
        wav = WavStream(ENGINE)
        async for data in answer.aiter_bytes():
            if audio := wav.push(data):
                yield audio
        wav.end()


def _voices(listed: dict[str, Any]) -> tuple[Voice, ...]:
    """What ``GET /voices`` tells: each voice's id, with the voice's own configuration."""
    found: list[Voice] = []
    for name, about in listed.items():
        language: Any = cast("dict[str, Any]", about).get("language") or {}
        espeak: Any = cast("dict[str, Any]", about).get("espeak") or {}
        code = language.get("code") or espeak.get("voice") or name.partition("-")[0]
        found.append(Voice(name, _spoken_name(name), str(code).replace("_", "-")))
    return tuple(found)


def _spoken_name(name: str) -> str:
    """``en_US-lessac-medium`` is Lessac."""
    parts = name.split("-")
    return (parts[1] if len(parts) > 1 else name).replace("_", " ").capitalize()
