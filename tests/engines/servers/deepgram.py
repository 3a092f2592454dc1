"""Deepgram's recogniser and voices, with the messages that its published SDK types define."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.engines.servers.http import HttpReply, HttpRequest, HttpServer
from tests.engines.servers.web_sockets import WebSocketServer

Fault = Literal[
    "",
    "close_1011",
    "data",
    "hang",
    "garbage",
    "error",
    "mute_at_end",
    "400",
    "401",
    "402",
    "429",
    "deaf",
]
KEY = "dg-key"
LOUD = b"\x10\x27"


@dataclass
class Listening:
    """One connection: what was asked, and what was said on it."""

    query: dict[str, list[str]]
    pcm_bytes: int = 0
    messages: list[str] = field(default_factory=list)
    is_kept_alive: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


class DeepgramListenServer(WebSocketServer):
    """``/v1/listen``: understands ``words`` at one per ``word_ms``; ``final_after_ms`` endpoints.

    ``answers_finalize`` off is Deepgram when nothing is left to finalise: it says nothing.
    ``fault`` happens at the second message of sound, or at the handshake.
    """

    url_form = "http://127.0.0.1:{port}"
    max_queue = None

    def __init__(
        self,
        words: str = "Good morning.",
        *,
        word_ms: int = 200,
        final_after_ms: int = 0,
        answers_finalize: bool = True,
        fault: Fault = "",
    ) -> None:
        super().__init__()
        self.words = words.split()
        self.word_ms = word_ms
        self.final_after_ms = final_after_ms
        self.answers_finalize = answers_finalize
        self.fault = fault
        self.calls: list[Listening] = []

    async def receive(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.fault == "deaf":
            await self.is_over.wait()
        if request.headers.get("Authorization") != f"Token {KEY}" or self.fault == "401":
            return _refusal(401, "Unauthorized", "Invalid credentials.")
        if self.fault in ("400", "402", "429"):
            return _refusal(int(self.fault), "No", "Not now.")
        if request.path.startswith("/v1/auth/token"):
            return connection.respond(200, "{}")
        return None

    async def talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        call = Listening(parse_qs(urlsplit(connection.request.path).query))
        self.calls.append(call)
        results = _Results(self, int(call.query["sample_rate"][0]))
        try:
            async for message in connection:
                if isinstance(message, bytes):
                    await self._hear(connection, call, results, message)
                elif not await self._obey(connection, call, results, message):
                    return
        except ConnectionClosed:
            pass
        finally:
            call.is_over.set()

    async def _hear(
        self, connection: ServerConnection, call: Listening, results: _Results, pcm: bytes
    ) -> None:
        first = not call.pcm_bytes
        call.pcm_bytes += len(pcm)
        if self.fault and not first:
            await self._fail(connection)
        if first:
            await connection.send('{"type":"SpeechStarted","channel":[0,1],"timestamp":0.0}')
        for message in results.hear(len(pcm)):
            await connection.send(json.dumps(message))

    async def _fail(self, connection: ServerConnection) -> None:
        if self.fault == "close_1011":
            await connection.close(1011, "NET-0001")
        elif self.fault == "data":
            await connection.close(1008, "DATA-0000")
        elif self.fault == "hang":
            await self.is_over.wait()
        elif self.fault == "garbage":
            await connection.send("}")
        elif self.fault == "error":
            error = {"type": "Error", "variant": "SchemaError", "description": "Unknown message"}
            await connection.send(json.dumps(error))

    async def _obey(
        self, connection: ServerConnection, call: Listening, results: _Results, message: str
    ) -> bool:
        kind = json.loads(message)["type"]
        call.messages.append(kind)
        if kind == "KeepAlive":
            call.is_kept_alive.set()
        if kind == "Finalize" and self.answers_finalize and self.fault != "mute_at_end":
            await connection.send(json.dumps(results.final(from_finalize=True)))
        if kind == "CloseStream" and self.fault != "mute_at_end":
            if not self.answers_finalize:
                await connection.send(json.dumps(results.final(from_finalize=False)))
            await connection.send(json.dumps({"type": "Metadata", "duration": 1.0, "channels": 1}))
            await connection.close(1000)
            return False
        return True


class _Results:
    def __init__(self, server: DeepgramListenServer, rate_hz: int) -> None:
        self._server = server
        self._rate_hz = rate_hz
        self._start_ms = 0.0
        self._now_ms = 0.0
        self._told = 0

    def hear(self, pcm_bytes: int) -> list[dict[str, Any]]:
        self._now_ms += pcm_bytes / 2 * 1000 / self._rate_hz
        limit_ms = self._server.final_after_ms
        if limit_ms and self._now_ms - self._start_ms >= limit_ms and self._heard():
            return [self.final(from_finalize=False), {"type": "UtteranceEnd", "last_word_end": 1.0}]
        return [self._message(is_final=False)]

    def final(self, *, from_finalize: bool) -> dict[str, Any]:
        message = self._message(is_final=True) | {"from_finalize": from_finalize}
        self._told += len(self._heard())
        self._start_ms = self._now_ms
        return message

    def _message(self, *, is_final: bool) -> dict[str, Any]:
        heard, step_ms = self._heard(), self._server.word_ms
        words = [
            {
                "word": word.strip(".,").lower(),
                "punctuated_word": word,
                "start": (self._start_ms + at * step_ms) / 1000,
                "end": (self._start_ms + (at + 1) * step_ms) / 1000,
                "confidence": 0.9,
            }
            for at, word in enumerate(heard)
        ]
        best = {"transcript": " ".join(heard), "confidence": 0.9, "words": words}
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "start": self._start_ms / 1000,
            "duration": (self._now_ms - self._start_ms) / 1000,
            "is_final": is_final,
            "speech_final": is_final,
            "channel": {"alternatives": [best]},
            "metadata": {"request_id": "r", "model_uuid": "m", "model_info": {}},
        }

    def _heard(self) -> list[str]:
        count = int((self._now_ms - self._start_ms) / self._server.word_ms)
        return self._server.words[self._told : self._told + count]


def _refusal(status: int, reason: str, says: str) -> Response:
    headers = Headers({"dg-error": says, "Content-Length": "0"})
    return Response(status, reason, headers, b"")


SpeakFault = Literal["", "401", "429", "500", "hang", "cut", "html"]


class DeepgramSpeakServer(HttpServer):
    """``/v1/speak``: ``ms_per_letter`` of sound per letter, in pieces of odd length.

    With ``waits`` each piece after the first waits for ``go_on``.
    """

    def __init__(
        self, *, ms_per_letter: int = 10, waits: bool = False, fault: SpeakFault = ""
    ) -> None:
        super().__init__()
        self.ms_per_letter = ms_per_letter
        self.waits = waits
        self.fault = fault
        self.go_on = asyncio.Event()
        self.requests: list[HttpRequest] = []

    async def answer(self, request: HttpRequest, reply: HttpReply) -> None:
        self.requests.append(request)
        if request.headers.get("authorization") != f"Token {KEY}" or self.fault == "401":
            await reply.json({"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials."}, 401)
        elif request.path == "/v1/auth/token":
            await reply.json({"api_key_id": "k"})
        elif request.path == "/v1/models":
            await reply.json({"stt": [], "tts": MODELS})
        elif self.fault in ("429", "500"):
            await reply.json({"err_msg": "Too many."}, int(self.fault), {"Retry-After": "3"})
        else:
            await self._speak(request, reply)

    async def _speak(self, request: HttpRequest, reply: HttpReply) -> None:
        rate_hz = int(request.query["sample_rate"])
        size = len(request.json()["text"]) * self.ms_per_letter * rate_hz // 1000 * 2
        await reply.start(200, {"Content-Type": "audio/l16"})
        if self.fault == "hang":
            await reply.piece(bytes(101))
            await asyncio.Event().wait()
        if self.fault == "cut":
            await reply.piece(bytes(101))
            reply.cut()
            return
        pcm = LOUD * (size // 2)
        for at in range(0, size, 1001):
            await reply.piece(pcm[at : at + 1001])
            if self.waits:
                await self.go_on.wait()
        await reply.end()


MODELS = [
    {
        "name": "thalia",
        "canonical_name": "aura-2-thalia-en",
        "architecture": "aura-2",
        "languages": ["en", "en-US"],
        "version": "2025-04-07.0",
    },
    {"name": "celeste", "canonical_name": "aura-2-celeste-es", "languages": ["es-CO"]},
]
