"""Wyoming servers that recognise and speak, written with the protocol's own library."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import (
    AsrModel,
    AsrProgram,
    Attribution,
    Describe,
    Info,
    TtsProgram,
    TtsVoice,
    TtsVoiceSpeaker,
)
from wyoming.tts import Synthesize

Fault = Literal["", "error", "garbage", "hang", "hang_up", "cut", "stereo", "eight_bits", "deaf"]
RATE_HZ = 22_050
LOUD = b"\x10\x27"
_ABOUT: dict[str, Any] = {
    "attribution": Attribution("Nobody", "http://127.0.0.1"),
    "installed": True,
    "version": "1",
}


class _WyomingServer:
    """``async with XServer() as server: server.url``. ``fault`` strikes in mid-answer."""

    def __init__(self, fault: Fault = "") -> None:
        self.fault: Fault = fault
        self.requests: list[Event] = []
        self.pcm_bytes = 0
        self.has_left = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._talks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Any:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def info(self) -> Info:
        raise NotImplementedError

    async def take(self, event: Event, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def strike(self, writer: asyncio.StreamWriter) -> None:
        if self.fault == "error":
            await async_write_event(Error("The model is on holiday.").event(), writer)
        elif self.fault == "garbage":
            writer.write(b"what?\n")
        elif self.fault == "hang":
            await asyncio.Event().wait()
        elif self.fault == "hang_up":
            writer.close()
        elif self.fault == "cut":
            writer.write(b'{"type":"transcript","data_length":100}\n{"te')
            await writer.drain()
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            if self.fault == "deaf":
                await asyncio.Event().wait()
            while (event := await async_read_event(reader)) is not None:
                if Describe.is_type(event.type):
                    await async_write_event(self.info().event(), writer)
                else:
                    await self.take(event, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            self.has_left.set()
            self._talks.discard(talk)
            writer.transport.abort()


class WyomingAsrServer(_WyomingServer):
    """Understands ``text``; with ``streams`` it tells it word by word when the sound is over."""

    def __init__(
        self, text: str = "good morning", *, streams: bool = False, fault: Fault = ""
    ) -> None:
        super().__init__(fault)
        self.text = text
        self.streams = streams

    def info(self) -> Info:
        model = AsrModel(name="tiny", description="Tiny", languages=["en"], **_ABOUT)
        program = AsrProgram(name="fake-asr", description="Fake", models=[model], **_ABOUT)
        return Info(asr=[program])

    async def take(self, event: Event, writer: asyncio.StreamWriter) -> None:
        if Transcribe.is_type(event.type):
            self.requests.append(event)
        elif AudioChunk.is_type(event.type):
            chunk = AudioChunk.from_event(event)
            assert (chunk.rate, chunk.width, chunk.channels) == (16_000, 2, 1)
            self.pcm_bytes += len(chunk.audio)
        elif AudioStop.is_type(event.type):
            await self.strike(writer)
            if not self.fault:
                await self._tell(writer)

    async def _tell(self, writer: asyncio.StreamWriter) -> None:
        if self.streams:
            await async_write_event(TranscriptStart().event(), writer)
            for word in self.text.split():
                await async_write_event(TranscriptChunk(f"{word} ").event(), writer)
        await async_write_event(Transcript(self.text).event(), writer)
        if self.streams:
            await async_write_event(TranscriptStop().event(), writer)


class WyomingTtsServer(_WyomingServer):
    """Speaks 10 ms per letter, in chunks of odd length; with ``waits`` it stops after the first."""

    def __init__(self, *, waits: bool = False, fault: Fault = "") -> None:
        super().__init__(fault)
        self.waits = waits
        self.go_on = asyncio.Event()

    def info(self) -> Info:
        speakers = [TtsVoiceSpeaker("anna"), TtsVoiceSpeaker("bert")]
        voices = [
            TtsVoice(name="en_US-lessac", description="Lessac", languages=["en_US"], **_ABOUT),
            TtsVoice(
                name="de_DE-both",
                description="Both",
                languages=["de_DE"],
                speakers=speakers,
                **_ABOUT,
            ),
        ]
        return Info(tts=[TtsProgram(name="fake", description="Fake", voices=voices, **_ABOUT)])

    async def take(self, event: Event, writer: asyncio.StreamWriter) -> None:
        if not Synthesize.is_type(event.type):
            return
        self.requests.append(event)
        channels = 2 if self.fault == "stereo" else 1
        about = {"rate": RATE_HZ, "width": 1 if self.fault == "eight_bits" else 2}
        about["channels"] = channels
        await async_write_event(AudioStart(**about).event(), writer)
        pcm = LOUD * (len(Synthesize.from_event(event).text) * RATE_HZ // 100 * channels)
        for at in range(0, len(pcm), 1001):
            chunk = AudioChunk(**about, audio=pcm[at : at + 1001])
            await async_write_event(chunk.event(), writer)
            await self.strike(writer)
            if self.waits:
                await self.go_on.wait()
        await async_write_event(AudioStop().event(), writer)
