"""Vosk's WebSocket server, as far as its protocol goes; what it understands is written down."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.engines.servers.web_sockets import WebSocketServer

Dialect = Literal["python", "no_reset", "cpp"]
Fault = Literal[
    "", "close_1011", "hang", "garbage", "no_object", "drip", "mute_at_end", "401", "429", "deaf"
]
_FINAL_WORDS = ('{"eof" : 1}', '{"reset" : 1}')


@dataclass
class VoskConversation:
    """One connection: what was said on it, and how it ended."""

    configs: list[dict[str, Any]] = field(default_factory=list)
    pcm_bytes: int = 0
    messages: int = 0
    ends: list[str] = field(default_factory=list)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


class VoskServer(WebSocketServer):
    """Understands ``words`` at one word per ``word_ms`` of sound, from the start of each utterance.

    With ``final_after_ms`` it hears a pause after so much sound. ``dialect``: ``no_reset`` is
    Python before 2023, which takes a reset for sound and dies of it; ``cpp`` takes it for sound
    and lives. ``fault`` happens at the second message of sound; ``drip`` waits there for
    ``let_drip``.
    """

    def __init__(
        self,
        words: str = "good morning",
        *,
        word_ms: int = 200,
        final_after_ms: int = 0,
        dialect: Dialect = "python",
        fault: Fault = "",
        alternatives: bool = False,
    ) -> None:
        super().__init__()
        self.words = words.split()
        self.word_ms = word_ms
        self.final_after_ms = final_after_ms
        self.dialect = dialect
        self.fault: Fault = fault
        self.alternatives = alternatives
        self.conversations: list[VoskConversation] = []
        self.is_stuck = asyncio.Event()
        self.let_drip = asyncio.Event()

    async def receive(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.fault == "deaf":
            await self.is_over.wait()
        if self.fault in ("401", "429"):
            response = connection.respond(int(self.fault), "not now\n")
            response.headers["Retry-After"] = "7"
            return response
        return None

    async def talk(self, connection: ServerConnection) -> None:
        conversation = VoskConversation()
        self.conversations.append(conversation)
        recogniser = _Recogniser(self)
        try:
            async for message in connection:
                if not await self._answer(connection, conversation, recogniser, message):
                    break
        except ConnectionClosed:
            pass
        finally:
            conversation.is_over.set()

    async def _answer(
        self,
        connection: ServerConnection,
        conversation: VoskConversation,
        recogniser: _Recogniser,
        message: str | bytes,
    ) -> bool:
        """Whether to go on."""
        if isinstance(message, str):
            known = _FINAL_WORDS if self.dialect == "python" else _FINAL_WORDS[:1]
            if "config" in message and self.dialect != "cpp":
                conversation.configs.append(json.loads(message)["config"])
                recogniser.rate_hz = conversation.configs[-1].get("sample_rate", 8000)
                return True
            if message in known:
                conversation.ends.append(message)
                if self.fault == "mute_at_end":
                    return True
                if not conversation.pcm_bytes:
                    await connection.close(1011, "internal error")
                    return False
                await connection.send(json.dumps(recogniser.final()))
                return message != _FINAL_WORDS[0]
            if self.dialect != "cpp":
                # Text goes to the recogniser as if it were sound, which throws.
                await connection.close(1011, "internal error")
                return False
            message = message.encode()
        return await self._hear(connection, conversation, recogniser, message)

    async def _hear(
        self,
        connection: ServerConnection,
        conversation: VoskConversation,
        recogniser: _Recogniser,
        pcm: bytes,
    ) -> bool:
        conversation.pcm_bytes += len(pcm)
        conversation.messages += 1
        if conversation.messages == 2 and self.fault:
            if self.fault == "close_1011":
                await connection.close(1011, "internal error")
                return False
            if self.fault == "hang":
                await self.is_over.wait()
            if self.fault in ("garbage", "no_object"):
                await connection.send("{{" if self.fault == "garbage" else "[1]")
                return True
            if self.fault == "drip":
                # When it has answered two pings the client has sent all that it would.
                for _ in range(2):
                    await (await connection.ping())
                self.is_stuck.set()
                await self.let_drip.wait()
        await connection.send(json.dumps(recogniser.hear(len(pcm))))
        return True


class _Recogniser:
    """Counts time over the whole connection, as Vosk does."""

    def __init__(self, server: VoskServer) -> None:
        self._server = server
        self.rate_hz = 16_000
        self._start_ms = 0.0
        self._now_ms = 0.0
        self._told = 0

    def hear(self, pcm_bytes: int) -> dict[str, Any]:
        self._now_ms += pcm_bytes / 2 * 1000 / self.rate_hz
        limit_ms = self._server.final_after_ms
        if limit_ms and self._now_ms - self._start_ms >= limit_ms and self._heard():
            return self._final()
        return {"partial": " ".join(self._heard())}

    def final(self) -> dict[str, Any]:
        final = self._final()
        self._told = 0
        return final

    def _final(self) -> dict[str, Any]:
        heard, start_ms = self._heard(), self._start_ms
        self._told += len(heard)
        self._start_ms = self._now_ms
        step_ms = self._server.word_ms
        result = [
            {
                "conf": 1.0,
                "word": word,
                "start": (start_ms + at * step_ms) / 1000,
                "end": (start_ms + (at + 1) * step_ms) / 1000,
            }
            for at, word in enumerate(heard)
        ]
        best: dict[str, Any] = {"text": " ".join(heard)}
        if result:
            best["result"] = result
        if self._server.alternatives:
            return {"alternatives": [{**best, "confidence": 9.0}, {"text": "x", "confidence": 1}]}
        return best

    def _heard(self) -> list[str]:
        count = int((self._now_ms - self._start_ms) / self._server.word_ms)
        return self._server.words[self._told : self._told + count]
