"""Recognisers that speak Wyoming (faster-whisper, Vosk, Speech-to-Phrase …), over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from pydantic import Field
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event

from parley.core.audio import Audio
from parley.engines.remote.addresses import TcpUrls
from parley.engines.remote.room import require_room
from parley.engines.remote.sound import pcm_at
from parley.engines.remote.standing import standing
from parley.engines.remote.wyoming import (
    WyomingLine,
    WyomingOptions,
    WyomingServer,
    is_set_up,
    wyoming_servers,
)
from parley.engines.spec import EngineSpec, Status, TranscribeOptions, TranscriptPart

ENGINE = "The Wyoming recogniser"
EXAMPLE = "PARLEY_WYOMING_STT_URI, for example to tcp://localhost:10300"
RATE_HZ = 16_000
_FORMAT = {"rate": RATE_HZ, "width": 2, "channels": 1}


class WyomingSttOptions(WyomingOptions):
    """What an agent or a setting can say of a Wyoming recogniser."""

    uri: TcpUrls | None = Field(None, description="The servers: tcp://HOST:10300.")
    model: str = Field("", description="One of the server's models; its own choice if empty.")
    answer_timeout_s: float = Field(
        20.0, gt=0, description="How late the text may be after the end of speech."
    )
    max_concurrent: int | None = Field(None, ge=1, description="Utterances heard at once.")


class _Hearing:
    """One utterance on one connection."""

    def __init__(self, line: WyomingLine, answer_timeout_s: float) -> None:
        self._line = line
        self._answer_timeout_s = answer_timeout_s
        self._streamed = ""

    async def parts(
        self, request: Transcribe, sound: AsyncGenerator[bytes]
    ) -> AsyncGenerator[TranscriptPart]:
        feeding = asyncio.create_task(self._feed(request, sound))
        try:
            while True:
                event = await self._next(feeding)
                if Transcript.is_type(event.type):
                    yield TranscriptPart(Transcript.from_event(event).text.strip(), final=True)
                    return
                if TranscriptStop.is_type(event.type):
                    yield TranscriptPart(self._streamed.strip(), final=True)
                    return
                if TranscriptStart.is_type(event.type):
                    self._streamed = ""
                elif TranscriptChunk.is_type(event.type):
                    self._streamed += TranscriptChunk.from_event(event).text
                    if text := self._streamed.strip():
                        yield TranscriptPart(text, final=False)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _feed(self, request: Transcribe, sound: AsyncGenerator[bytes]) -> None:
        try:
            await self._say(request.event())
            await self._say(AudioStart(**_FORMAT).event())
            async with aclosing(sound):
                async for pcm in sound:
                    await self._say(AudioChunk(**_FORMAT, audio=pcm).event())
            await self._say(AudioStop().event())
        except ConnectionError:
            # Whoever waits for an answer learns of it too, and may have one.
            return
        except Exception:
            # Sound can break in any way, and nobody would end the wait for an answer to it.
            self._line.drop()
            raise

    async def _say(self, event: Event) -> None:
        async with asyncio.timeout(self._answer_timeout_s):
            await self._line.say(event)

    async def _next(self, feeding: asyncio.Task[None]) -> Event:
        """The next event. The time limit runs from the end of speech."""
        hearing = asyncio.ensure_future(self._line.hear(None))
        try:
            await asyncio.wait({hearing, feeding}, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done() and feeding.exception() is None:
                await asyncio.wait({hearing}, timeout=self._answer_timeout_s)
                if not hearing.done():
                    raise TimeoutError
            if feeding.done() and (why := feeding.exception()) is not None:
                raise why
            return await hearing
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


class WyomingTranscriber:
    """Implements ``Transcriber`` over Wyoming servers."""

    def __init__(self, options: WyomingSttOptions) -> None:
        self._options = options
        self._servers = wyoming_servers(ENGINE, options, EXAMPLE)

    async def warm_up(self) -> None:
        """Models are the server's to load."""

    async def check(self) -> Status:
        return await standing(self._servers.all, self._status)

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        """Partial texts come where the server streams them. ``language`` "" is left to it."""
        require_room(ENGINE, self._servers, self._options.max_concurrent)
        request = Transcribe(
            name=self._options.model or None, language=options.language.partition("-")[0] or None
        )
        async with self._servers.lease() as server, server.client.line() as line:
            hearing = _Hearing(line, self._options.answer_timeout_s)
            async with aclosing(hearing.parts(request, pcm_at(RATE_HZ, audio))) as parts:
                async for part in parts:
                    yield part

    async def close(self) -> None:
        await self._servers.close()

    async def _status(self, server: WyomingServer) -> Status:
        info = await server.describe()
        models = [model for program in info.asr for model in program.models]
        names = [model.name for model in models if model.installed]
        if not info.asr:
            return Status(
                False,
                f"the server at {server.where} does not recognise speech",
                "Give the address of a speech-to-text server; its usual port is 10300.",
            )
        wanted = self._options.model
        if wanted and wanted not in [model.name for model in models]:
            return Status(
                False,
                f"the server at {server.where} has no model {wanted}",
                f"It has {', '.join(names)}." if names else "Name none.",
            )
        named = wanted or (names[0] if len(names) == 1 else f"{len(names)} models")
        return Status(True, f"{info.asr[0].name} at {server.where}, {named}")


SPEC: EngineSpec[WyomingTranscriber] = EngineSpec(
    kind="stt",
    name="wyoming",
    options=WyomingSttOptions,
    open=WyomingTranscriber,
    summary="A recogniser of the Wyoming kind, as Home Assistant uses them.",
    available=is_set_up,
    environment={"uri": "PARLEY_WYOMING_STT_URI"},
)
