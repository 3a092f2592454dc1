"""Deepgram's live recogniser, over its WebSocket: it hears while the caller speaks.

Each utterance has a connection of its own, made while the caller speaks. At the end Finalize asks
for what is left, and CloseStream, sent behind it, makes sure that an answer comes even if nothing
is left. Message shapes are those of Deepgram's published SDK types.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast
from urllib.parse import urlencode

import httpx
from pydantic import Field
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from parley.core.audio import Audio
from parley.core.errors import EngineFailed, EngineRefusedRequest
from parley.engines.remote.deepgram import (
    ENGINE,
    DeepgramOptions,
    client_for,
    headers_for,
    is_configured,
    key_status,
)
from parley.engines.remote.instances import Instances
from parley.engines.remote.room import require_room
from parley.engines.remote.sockets import drop_socket, open_socket, socket_told_plainly
from parley.engines.remote.sound import pcm_at
from parley.engines.remote.standing import standing
from parley.engines.spec import EngineSpec, Status, TranscribeOptions, TranscriptPart, Word

RATE_HZ = 16_000
ANY_LANGUAGE = "multi"
# Without sound or a sign of life for 10 s, Deepgram hangs up.
SIGN_OF_LIFE_S = 4.0
_MODEL = re.compile(
    r"(nova|enhanced)(-[\w-]+)?|base-(general|meeting|phonecall|voicemail|finance|"
    r"conversationalai|video)",
    re.IGNORECASE,
)


class DeepgramSttOptions(DeepgramOptions):
    """What an agent or a setting can say of Deepgram's recogniser."""

    model: str = Field("nova-3", description="A live model: nova-3, nova-2, nova-2-phonecall …")
    punctuate: bool = Field(True, description="Punctuation and capitals.")
    smart_format: bool = Field(True, description="Numbers, dates and the like as people write.")
    endpointing_ms: int = Field(
        300, ge=0, le=5000, description="Silence after which a text is final; 0: off."
    )
    keyterms: tuple[str, ...] = Field((), description="Names and terms to listen for (nova-3).")
    numerals: bool = Field(False, description="Numbers in figures.")
    profanity_filter: bool = Field(False, description="Coarse words masked.")


class _Hearing:
    """One utterance on one connection."""

    def __init__(self, socket: ClientConnection, answer_timeout_s: float) -> None:
        self._socket = socket
        self._answer_timeout_s = answer_timeout_s
        self._waits_since_s = 0.0
        self._said_s = time.monotonic()
        self._is_over = False
        self._has_final = False
        self._finalised = False
        self._told_partial = ""

    async def parts(self, sound: AsyncGenerator[bytes]) -> AsyncGenerator[TranscriptPart]:
        feeding = asyncio.create_task(self._feed(sound))
        try:
            while (message := await self._next(feeding)) is not None:
                part = self._part(message)
                if part is not None:
                    self._has_final |= part.final
                    yield part
                if self._finalised:
                    break
            if not self._has_final:
                yield TranscriptPart("", final=True)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _feed(self, sound: AsyncGenerator[bytes]) -> None:
        try:
            async with aclosing(sound):
                async for pcm in sound:
                    self._said_s = time.monotonic()
                    self._waits_since_s = self._waits_since_s or self._said_s
                    await self._socket.send(pcm)
            self._is_over = True
            self._waits_since_s = time.monotonic()
            await self._socket.send('{"type":"Finalize"}')
            await self._socket.send('{"type":"CloseStream"}')
        except ConnectionClosed:
            # Whoever waits for answers learns of it too.
            return
        except Exception:
            # Sound can break in any way, and nobody would end the wait for an answer to it.
            self._socket.transport.abort()
            raise

    async def _next(self, feeding: asyncio.Task[None]) -> dict[str, Any] | None:
        """The next message; None when Deepgram has said its last."""
        while True:
            try:
                async with asyncio.timeout(min(SIGN_OF_LIFE_S, self._answer_timeout_s)):
                    message: Any = json.loads(await self._socket.recv())
                self._waits_since_s = time.monotonic() if self._is_over else 0.0
                if not isinstance(message, dict):
                    raise ValueError("a message that is no object")
                return cast("dict[str, Any]", message)
            except TimeoutError:
                await self._while_silent()
            except ConnectionClosed as error:
                if feeding.done() and not feeding.cancelled() and (why := feeding.exception()):
                    raise why from error
                if isinstance(error, ConnectionClosedOK) and self._is_over:
                    return None
                raise

    async def _while_silent(self) -> None:
        now_s = time.monotonic()
        if self._waits_since_s and now_s - self._waits_since_s >= self._answer_timeout_s:
            raise TimeoutError
        if not self._is_over and now_s - self._said_s >= SIGN_OF_LIFE_S:
            await self._socket.send('{"type":"KeepAlive"}')

    def _part(self, message: dict[str, Any]) -> TranscriptPart | None:
        kind = message.get("type")
        if kind == "Error":
            raise EngineFailed(f"Deepgram: {message.get('description') or message.get('variant')}")
        if kind != "Results":
            # Metadata, SpeechStarted, UtteranceEnd and what is still to be invented.
            return None
        self._finalised = bool(message.get("from_finalize"))
        best = message["channel"]["alternatives"][0]
        text = str(best["transcript"]).strip()
        is_final = bool(message.get("is_final"))
        if not text or (not is_final and text == self._told_partial):
            return None
        self._told_partial = "" if is_final else text
        words = tuple(_word(word) for word in best.get("words") or ())
        start_ms = round(float(message["start"]) * 1000)
        end_ms = start_ms + round(float(message["duration"]) * 1000)
        return TranscriptPart(text, is_final, start_ms, end_ms, words if is_final else ())


class DeepgramTranscriber:
    """Implements ``Transcriber`` over Deepgram's live WebSocket."""

    def __init__(self, options: DeepgramSttOptions) -> None:
        self._options = options
        self._headers = headers_for(options)
        self._servers = Instances(
            options.base_url, lambda url: client_for(url, options), httpx.AsyncClient.aclose
        )

    async def warm_up(self) -> None:
        """Nothing to load: connections are made while the caller speaks."""

    async def check(self) -> Status:
        return await standing(self._servers.all, key_status)

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        """``language`` "" hears several languages, as far as the model can."""
        if options.translate:
            raise EngineRefusedRequest(
                "Deepgram does not translate.", hint="Use an engine of Whisper's kind for that."
            )
        require_room(ENGINE, self._servers, self._options.max_concurrent)
        async with self._servers.lease() as server:
            url = self._listen_url(server.url, options)
            with socket_told_plainly(ENGINE, server.url):
                socket = await open_socket(
                    ENGINE, url, timeout_s=self._options.connect_timeout_s, headers=self._headers
                )
                hearing = _Hearing(socket, self._options.answer_timeout_s)
                try:
                    async with aclosing(hearing.parts(pcm_at(RATE_HZ, audio))) as parts:
                        async for part in parts:
                            yield part
                finally:
                    await drop_socket(socket)

    async def close(self) -> None:
        await self._servers.close()

    def _listen_url(self, base_url: str, wish: TranscribeOptions) -> str:
        options = self._options
        query: list[tuple[str, str]] = [
            ("model", options.model),
            ("encoding", "linear16"),
            ("sample_rate", str(RATE_HZ)),
            ("channels", "1"),
            ("interim_results", "true"),
            ("punctuate", _said(options.punctuate)),
            ("smart_format", _said(options.smart_format)),
            ("endpointing", str(options.endpointing_ms or "false")),
        ]
        if language := _language(wish.language, options.model):
            query.append(("language", language))
        if options.numerals:
            query.append(("numerals", "true"))
        if options.profanity_filter:
            query.append(("profanity_filter", "true"))
        query += [("keyterm", term) for term in options.keyterms]
        return f"ws{base_url.removeprefix('http')}/v1/listen?{urlencode(query)}"


def _language(wanted: str, model: str) -> str:
    """Any language is a model's own word, which those before Nova-2 don't know."""
    if wanted not in ("", "auto"):
        return wanted
    return ANY_LANGUAGE if model.startswith(("nova-2", "nova-3")) else ""


def _said(value: bool) -> str:
    return "true" if value else "false"


def _word(word: dict[str, Any]) -> Word:
    text = word.get("punctuated_word") or word["word"]
    return Word(str(text), round(float(word["start"]) * 1000), round(float(word["end"]) * 1000))


def _is_model(value: str) -> bool:
    """Nova and Enhanced, and Base with its use; plain ``base`` is Whisper's."""
    return bool(_MODEL.fullmatch(value.strip()))


SPEC: EngineSpec[DeepgramTranscriber] = EngineSpec(
    kind="stt",
    name="deepgram",
    abilities=frozenset({"words"}),
    options=DeepgramSttOptions,
    open=DeepgramTranscriber,
    summary="Deepgram in the cloud (or your own): hears while the caller speaks.",
    available=is_configured,
    environment={
        "api_key": "DEEPGRAM_API_KEY",
        "base_url": "DEEPGRAM_BASE_URL",
        "model": "STT_MODEL",
    },
    owns_model=_is_model,
)
