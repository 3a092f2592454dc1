"""Piper in another program: its own HTTP server, or a WebSocket service around it.

Piper is GPL-3.0-or-later. Nothing of it runs in this process; it is only talked to.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from pydantic import Field

from parley.core.audio import Audio
from parley.core.errors import EngineUnavailable, NotFound, ParleyError
from parley.core.registry import did_you_mean
from parley.engines.remote.addresses import AnyUrls
from parley.engines.remote.instances import Instances
from parley.engines.remote.room import require_room
from parley.engines.remote.standing import standing
from parley.engines.spec import EngineOptions, EngineSpec, SpeechOptions, Status, Voice
from parley.engines.tts.piper_http import PiperHttp
from parley.engines.tts.piper_request import ENGINE, PiperRequest
from parley.engines.tts.piper_socket import PiperSocket

SLOWEST, FASTEST = 0.25, 4.0
_VOICE = re.compile(r"[a-z]{2,3}_[A-Z]{2}-\w+-(x_low|low|medium|high)")


class PiperOptions(EngineOptions):
    """What an agent or a setting can say of Piper."""

    ws_url: AnyUrls | None = Field(
        None, description="The servers: http:// for Piper's own, ws:// for a WebSocket service."
    )
    voice: str = Field("", description="One of the server's voices; its own choice if empty.")
    speaker: str = Field("", description="Name or number, for voices with several speakers.")
    length_scale: float | None = Field(
        None, gt=0, le=10, description="How long sounds last; 1.0 is the voice's own."
    )
    noise_scale: float | None = Field(None, ge=0, le=2, description="How lively it speaks.")
    noise_w_scale: float | None = Field(None, ge=0, le=2, description="How uneven its pace is.")
    sample_rate_hz: int = Field(
        22_050, ge=8000, le=48_000, description="The rate of a WebSocket service's sound."
    )
    connect_timeout_s: float = Field(4.0, gt=0, description="How long connecting may take.")
    answer_timeout_s: float = Field(10.0, gt=0, description="How long it may be silent.")
    max_concurrent: int | None = Field(None, ge=1, description="Texts spoken at once.")


class PiperServer(Protocol):
    """One server, whatever it speaks."""

    def speak(self, request: PiperRequest) -> AsyncGenerator[Audio]: ...

    async def status(self) -> Status: ...

    def voices(self) -> tuple[Voice, ...]: ...

    async def close(self) -> None: ...


class PiperSpeech:
    """Implements ``Synthesizer`` over Piper's servers."""

    def __init__(self, options: PiperOptions) -> None:
        if options.ws_url is None:
            raise EngineUnavailable(
                "Piper has no address.", hint="Set PIPER_WS_URL, for example http://localhost:5000."
            )
        self._options = options
        self._servers: Instances[PiperServer] = Instances(
            options.ws_url, self._connect, _disconnect
        )

    async def warm_up(self) -> None:
        """Speak a word, so that the voice is in the server's memory, and learn the voices."""
        for server in self._servers.all:
            try:
                await server.client.status()
                async with aclosing(
                    server.client.speak(self._request("Hi.", SpeechOptions()))
                ) as sounds:
                    async for _ in sounds:
                        pass
            except ParleyError:
                # Whether the server can speak is the check's to say.
                continue

    async def check(self) -> Status:
        return await standing(self._servers.all, self._status)

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        """Raises ``NotFound`` for a voice that no server has: Piper would take another one."""
        if not text.strip():
            return
        self._require_voice(options.voice)
        require_room(ENGINE, self._servers, self._options.max_concurrent)
        request = self._request(text, options)
        async with (
            self._servers.lease() as server,
            aclosing(server.client.speak(request)) as sounds,
        ):
            async for audio in sounds:
                yield audio

    def voices(self) -> Sequence[Voice]:
        """Known once a server with a list has been warmed up or checked."""
        found = {v.id: v for server in self._servers.all for v in server.client.voices()}
        return tuple(found.values())

    async def close(self) -> None:
        await self._servers.close()

    def _connect(self, url: str) -> PiperServer:
        options = self._options
        if url.startswith("http"):
            return PiperHttp(url, options.answer_timeout_s)
        return PiperSocket(
            url,
            rate_hz=options.sample_rate_hz,
            connect_timeout_s=options.connect_timeout_s,
            answer_timeout_s=options.answer_timeout_s,
        )

    def _request(self, text: str, options: SpeechOptions) -> PiperRequest:
        scale = self._options.length_scale
        if options.speed != 1.0:
            scale = round((scale or 1.0) / min(max(options.speed, SLOWEST), FASTEST), 4)
        return PiperRequest(
            text=text.strip(),
            voice=options.voice or self._options.voice,
            speaker=self._options.speaker,
            length_scale=scale,
            noise_scale=self._options.noise_scale,
            noise_w_scale=self._options.noise_w_scale,
        )

    def _require_voice(self, wanted: str) -> None:
        voice = wanted or self._options.voice
        known = [each.id for each in self.voices()]
        if voice and known and voice not in known:
            raise NotFound(f"Piper has no voice {voice!r}.", hint=did_you_mean(voice, known))

    async def _status(self, server: PiperServer) -> Status:
        status = await server.status()
        known = [voice.id for voice in server.voices()]
        wanted = self._options.voice
        if wanted and known and wanted not in known:
            return Status(False, f"Piper has no voice {wanted}", did_you_mean(wanted, known))
        return status


async def _disconnect(server: PiperServer) -> None:
    await server.close()


def _is_available(options: PiperOptions) -> bool:
    return options.ws_url is not None


def _is_voice(value: str) -> bool:
    """Written like ``en_US-lessac-medium``."""
    return bool(_VOICE.fullmatch(value.strip()))


SPEC: EngineSpec[PiperSpeech] = EngineSpec(
    kind="tts",
    name="piper",
    options=PiperOptions,
    open=PiperSpeech,
    summary="Piper in another program: its HTTP server, or a WebSocket service around it.",
    available=_is_available,
    environment={"ws_url": "PIPER_WS_URL", "voice": "TTS_VOICE"},
    owns_voice=_is_voice,
)
