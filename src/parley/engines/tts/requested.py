"""Speaks by asking a server with OpenAI's speech route for raw sound while it is made."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Literal

import httpx
import numpy as np
from pydantic import Field

from parley.core.audio import Audio
from parley.core.errors import EngineFailed, ModelMissing
from parley.engines.remote.instances import Instances
from parley.engines.remote.room import require_room
from parley.engines.remote.speech_server import SpeechServer
from parley.engines.remote.text_pieces import text_pieces
from parley.engines.remote.wav import WavStream
from parley.engines.spec import EngineOptions, SpeechOptions

RATE_HZ = 24_000
LONGEST_TEXT = 4096
LONGEST_INSTRUCTIONS = 4096
_OTHER_FORMATS: Mapping[bytes, str] = {b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC"}
_RATE = re.compile(r"rate=(\d{4,6})")


class RequestingOptions(EngineOptions):
    """Options that every engine of this kind has."""

    voice: str = Field("", description="The voice.")
    speed: float = Field(1.0, ge=0.25, le=4.0, description="1.0 is the voice's own pace.")
    instructions: str = Field(
        "",
        max_length=LONGEST_INSTRUCTIONS,
        description="How to speak, for models that can be told.",
    )
    response_format: Literal["pcm", "wav"] = Field(
        "pcm", description="wav for servers that can't send raw sound."
    )
    rate_hz: int = Field(
        RATE_HZ, ge=8000, le=48_000, description="The rate of raw sound, where nobody tells."
    )


class RequestedSpeech:
    """The core of a ``Synthesizer``; engines add which servers, which model, and their state."""

    def __init__(
        self,
        name: str,
        servers: Instances[SpeechServer],
        model: str,
        options: RequestingOptions,
        *,
        max_concurrent: int | None = None,
    ) -> None:
        self._name = name
        self._servers = servers
        self._model = model
        self._requesting = options
        self._max_concurrent = max_concurrent

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        """The text as sound, as it arrives. Nothing to pronounce, no audio and no request.

        These servers have no pitch: that wish is passed over.
        """
        if not any(letter.isalnum() for letter in text):
            return
        voice = self.voice_for(options)
        require_room(self._name, self._servers, self._max_concurrent)
        async with self._servers.lease() as instance:
            for piece in text_pieces(text, LONGEST_TEXT):
                body = self._body(piece, voice, options)
                async with aclosing(self._spoken(instance.client, body)) as sounds:
                    async for audio in sounds:
                        yield _louder(audio, options.volume)

    def voice_for(self, options: SpeechOptions) -> str:
        """Whose voice speaks. Raises ``NotFound`` where it is known that there is none such."""
        return options.voice or self._requesting.voice

    async def supply(self, server: SpeechServer, missing: ModelMissing) -> None:
        """Called for a model that a server lacks, before it is asked once more."""
        raise missing

    def speed_for(self, wanted: float) -> float:
        return min(max(wanted, 0.25), 4.0)

    def more_fields(self) -> dict[str, Any]:
        """What this engine's servers understand beyond OpenAI's fields."""
        return {}

    def rate_hz(self) -> int:
        return self._requesting.rate_hz

    async def _spoken(self, server: SpeechServer, body: dict[str, Any]) -> AsyncGenerator[Audio]:
        try:
            async with aclosing(self._ask(server, body)) as sounds:
                async for audio in sounds:
                    yield audio
            return
        except ModelMissing as missing:
            # Known before any sound has come.
            await self.supply(server, missing)
        async with aclosing(self._ask(server, body)) as sounds:
            async for audio in sounds:
                yield audio

    async def _ask(self, server: SpeechServer, body: dict[str, Any]) -> AsyncGenerator[Audio]:
        sound = _Sound(self._name, self.rate_hz())
        async with server.ask("POST", "audio/speech", model=self._model, body=body) as response:
            await sound.begin(response)
            async for piece in response.aiter_bytes():
                if (audio := sound.push(piece)) is not None:
                    yield audio
            sound.end()

    def _body(self, text: str, voice: str, options: SpeechOptions) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "input": text,
            "voice": voice,
            "response_format": self._requesting.response_format,
            **self.more_fields(),
        }
        speed = self.speed_for(self._requesting.speed * options.speed)
        if speed != 1.0:
            body["speed"] = speed
        if manner := options.instructions or self._requesting.instructions:
            body["instructions"] = manner[:LONGEST_INSTRUCTIONS]
        return body


class _Sound:
    """What arrives, as whole samples: raw, or from a WAV file where the server sends one."""

    def __init__(self, engine: str, rate_hz: int) -> None:
        self._engine = engine
        self._rate_hz = rate_hz
        self._wav: WavStream | None = None
        self._rest: bytes = b""
        self._is_raw = False
        self._has_sound = False

    async def begin(self, response: httpx.Response) -> None:
        kind = response.headers.get("content-type", "")
        if kind.startswith(("application/json", "text/")):
            says = " ".join((await response.aread()).decode(errors="replace").split())[:300]
            raise EngineFailed(f"{self._engine} sent no sound but: {says}")
        if rate := _RATE.search(kind):
            self._rate_hz = int(rate[1])

    def push(self, data: bytes) -> Audio | None:
        if self._wav is not None:
            return self._told(self._wav.push(data))
        self._rest += data
        if not self._is_raw:
            if len(self._rest) < 4:
                return None
            self._refuse_others(self._rest)
            if self._rest.startswith(b"RIFF"):
                self._wav = WavStream(self._engine)
                return self._told(self._wav.push(self._rest))
            self._is_raw = True
        size = len(self._rest) - len(self._rest) % 2
        pcm, self._rest = self._rest[:size], self._rest[size:]
        return self._told(Audio(pcm, self._rate_hz) if pcm else None)

    def end(self) -> None:
        """Raises ``EngineFailed`` if nothing came that could be heard."""
        if self._wav is not None:
            self._wav.end()
        if not self._has_sound:
            raise EngineFailed(f"{self._engine} sent no sound.")

    def _told(self, audio: Audio | None) -> Audio | None:
        self._has_sound = self._has_sound or audio is not None
        return audio

    def _refuse_others(self, data: bytes) -> None:
        for start, name in _OTHER_FORMATS.items():
            if data.startswith(start):
                raise EngineFailed(
                    f"{self._engine} sent {name} though it was asked for raw sound.",
                    hint="Set response_format of this engine to wav.",
                )


def _louder(audio: Audio, volume: float) -> Audio:
    if volume == 1.0:
        return audio
    samples = np.frombuffer(audio.pcm, np.int16).astype(np.float32) * max(volume, 0.0)
    return Audio(np.clip(samples, -32768, 32767).astype(np.int16).tobytes(), audio.rate_hz)
