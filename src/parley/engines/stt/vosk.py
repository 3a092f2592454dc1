"""Vosk's WebSocket server as a recogniser: it hears while the caller speaks.

Vosk has no key and one language per server. Connections are kept from one utterance to the next
where the server can (``{"reset" : 1}``), and opened anew where it can't.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from pydantic import Field

from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import EngineUnavailable
from parley.core.log import get_logger
from parley.engines.remote.addresses import SocketUrls, without_password
from parley.engines.remote.instances import Instances
from parley.engines.remote.room import require_room
from parley.engines.remote.sockets import drop_socket, is_alive, open_socket, socket_told_plainly
from parley.engines.remote.sound import pcm_at
from parley.engines.remote.standing import standing
from parley.engines.spec import (
    EngineOptions,
    EngineSpec,
    Status,
    TranscribeOptions,
    TranscriptPart,
)
from parley.engines.stt.vosk_line import EOF, RESET, ResetUnknown, VoskLine, VoskUtterance

log = get_logger(__name__)

ENGINE = "Vosk"
MOST_IDLE_LINES = 4
CHECK_SOUND_MS = 100


class VoskOptions(EngineOptions):
    """What an agent or a setting can say of Vosk."""

    ws_url: SocketUrls | None = Field(None, description="The servers: ws://HOST:2700.")
    sample_rate_hz: int = Field(
        16_000, ge=8000, le=48_000, description="The rate that the server's model takes."
    )
    send_config: bool = Field(
        True,
        description="Tell the server the rate and options first; off for Vosk's C++ server, "
        "which takes them for sound.",
    )
    keep_connections: bool = Field(
        True, description="Use a connection for many utterances, if the server can."
    )
    max_alternatives: int = Field(0, ge=0, le=20, description="Readings that Vosk weighs; 0: one.")
    phrases: tuple[str, ...] = Field((), description="The only phrases to be understood.")
    model: str = Field("", description="A model's path on the server, if not its own.")
    chunk_ms: int = Field(40, ge=10, le=1000, description="Sound in one message.")
    connect_timeout_s: float = Field(4.0, gt=0, description="How long connecting may take.")
    answer_timeout_s: float = Field(8.0, gt=0, description="How late an answer may be.")
    max_concurrent: int | None = Field(
        None, ge=1, description="Utterances heard at once, on all servers together."
    )


class VoskServer:
    """One server: its idle lines, and whether it knows the reset."""

    def __init__(self, url: str, options: VoskOptions) -> None:
        self.url = url
        self._options = options
        self._idle: list[VoskLine] = []
        self.knows_reset: bool | None = None if options.keep_connections else False

    async def hear(self, sound: AsyncGenerator[bytes]) -> AsyncGenerator[TranscriptPart]:
        """One utterance. Raises our errors only."""
        with socket_told_plainly(ENGINE, self.url):
            line = await self._line()
            first = self._utterance(line)
            try:
                async with aclosing(self._said_on(line, first, sound)) as parts:
                    async for part in parts:
                        yield part
                return
            except ResetUnknown:
                self._learn(False)
            # The server took the reset for sound and died of it, with the words not told yet.
            line = await self._line()
            again = self._utterance(line, first.done_ms)
            async with aclosing(self._said_on(line, again, _again(first.untold))) as parts:
                async for part in parts:
                    yield part

    async def status(self) -> Status:
        """Raises our errors when the server doesn't recognise."""
        silence = bytes(pcm_bytes(CHECK_SOUND_MS, self._options.sample_rate_hz))
        async with aclosing(self.hear(_again([silence]))) as parts:
            async for _ in parts:
                pass
        return Status(True, f"Vosk at {without_password(self.url)}")

    async def close(self) -> None:
        while self._idle:
            await drop_socket(self._idle.pop().socket)

    async def _said_on(
        self, line: VoskLine, utterance: VoskUtterance, sound: AsyncGenerator[bytes]
    ) -> AsyncGenerator[TranscriptPart]:
        try:
            async with aclosing(utterance.parts(sound)) as parts:
                async for part in parts:
                    yield part
            self._learn(utterance.knows_reset)
            if not line.is_spent and len(self._idle) < MOST_IDLE_LINES:
                self._idle.append(line)
        finally:
            if line not in self._idle:
                await drop_socket(line.socket)

    def _utterance(self, line: VoskLine, done_ms: float = 0.0) -> VoskUtterance:
        return VoskUtterance(
            line,
            ends_with=EOF if self.knows_reset is False else RESET,
            chunk_ms=self._options.chunk_ms,
            answer_timeout_s=self._options.answer_timeout_s,
            done_ms=done_ms,
            keeps_untold=self.knows_reset is None,
        )

    def _learn(self, knows_reset: bool | None) -> None:
        if self.knows_reset is None and knows_reset is not None:
            self.knows_reset = knows_reset
            log.info("vosk_server", url=without_password(self.url), knows_reset=knows_reset)

    async def _line(self) -> VoskLine:
        while self._idle:
            line = self._idle.pop()
            if await is_alive(line.socket):
                return line
            await drop_socket(line.socket)
        options = self._options
        socket = await open_socket(ENGINE, self.url, timeout_s=options.connect_timeout_s)
        try:
            if options.send_config:
                await socket.send(json.dumps({"config": self._config()}))
        except BaseException:
            await drop_socket(socket)
            raise
        return VoskLine(socket, options.sample_rate_hz)

    def _config(self) -> dict[str, object]:
        options = self._options
        config: dict[str, object] = {
            "sample_rate": options.sample_rate_hz,
            "words": 1,
            "max_alternatives": options.max_alternatives,
        }
        if options.phrases:
            config["phrase_list"] = list(options.phrases)
        if options.model:
            config["model"] = options.model
        return config


class VoskTranscriber:
    """Implements ``Transcriber`` over Vosk's servers."""

    def __init__(self, options: VoskOptions) -> None:
        if options.ws_url is None:
            raise EngineUnavailable(
                "Vosk has no address.", hint="Set VOSK_WS_URL, for example ws://localhost:2700."
            )
        self._options = options
        self._servers = Instances(
            options.ws_url, lambda url: VoskServer(url, options), VoskServer.close
        )

    async def warm_up(self) -> None:
        """The check has already opened a line on every server that answers."""

    async def check(self) -> Status:
        return await standing(self._servers.all, VoskServer.status)

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        """``language`` and ``grammar`` are the server's matter: it has one model."""
        async with aclosing(pcm_at(self._options.sample_rate_hz, audio)) as sound:
            first = await anext(sound, None)
            if first is None:
                yield TranscriptPart("", final=True)
                return
            require_room(ENGINE, self._servers, self._options.max_concurrent)
            async with (
                self._servers.lease() as server,
                aclosing(server.client.hear(_behind(first, sound))) as parts,
            ):
                has_final = False
                async for part in parts:
                    # Silence behind the last pause adds nothing.
                    if part.text or not has_final:
                        yield part
                    has_final |= part.final

    async def close(self) -> None:
        await self._servers.close()


async def _behind(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for pcm in rest:
        yield pcm


async def _again(pieces: list[bytes]) -> AsyncGenerator[bytes]:
    for pcm in pieces:
        yield pcm


def _is_available(options: VoskOptions) -> bool:
    return options.ws_url is not None


SPEC: EngineSpec[VoskTranscriber] = EngineSpec(
    kind="stt",
    name="vosk",
    abilities=frozenset({"words"}),
    options=VoskOptions,
    open=VoskTranscriber,
    summary="Vosk's WebSocket server: hears while the caller speaks, one language per server.",
    available=_is_available,
    environment={"ws_url": "VOSK_WS_URL"},
)
