"""Voices that speak Wyoming (Piper, Kokoro …), over TCP: sound leaves as it arrives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence

from pydantic import Field
from wyoming.audio import AudioChunk, AudioStop
from wyoming.info import Info, TtsVoice
from wyoming.tts import Synthesize, SynthesizeVoice

from parley.core.audio import Audio
from parley.core.errors import EngineFailed, NotFound, ParleyError
from parley.core.registry import did_you_mean
from parley.engines.remote.addresses import TcpUrls
from parley.engines.remote.room import require_room
from parley.engines.remote.standing import standing
from parley.engines.remote.wav import mono
from parley.engines.remote.wyoming import (
    WyomingOptions,
    WyomingServer,
    is_set_up,
    wyoming_servers,
)
from parley.engines.spec import EngineSpec, SpeechOptions, Status, Voice

ENGINE = "The Wyoming voice"
EXAMPLE = "PARLEY_WYOMING_TTS_URI, for example to tcp://localhost:10200"
SPEAKER = "#"
"""Between a voice and one of its speakers, in ids of voices with several."""


class WyomingTtsOptions(WyomingOptions):
    """What an agent or a setting can say of a Wyoming voice."""

    uri: TcpUrls | None = Field(None, description="The servers: tcp://HOST:10200.")
    voice: str = Field(
        "", description="One of the server's voices, or voice#speaker; its own choice if empty."
    )
    max_concurrent: int | None = Field(None, ge=1, description="Texts spoken at once.")


class WyomingSpeech:
    """Implements ``Synthesizer`` over Wyoming servers. The protocol knows no speed."""

    def __init__(self, options: WyomingTtsOptions) -> None:
        self._options = options
        self._voices: tuple[Voice, ...] = ()
        self._servers = wyoming_servers(ENGINE, options, EXAMPLE)

    async def warm_up(self) -> None:
        """Fetch the list of voices."""
        try:
            self._voices = tuple(_voices(await self._servers.all[0].client.describe()))
        except ParleyError:
            # Whether the server can speak is the check's to say.
            return

    async def check(self) -> Status:
        return await standing(self._servers.all, self._status)

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        """Raises ``NotFound`` for a voice that the server is known not to have."""
        if not text.strip():
            return
        require_room(ENGINE, self._servers, self._options.max_concurrent)
        request = Synthesize(text=text, voice=self._voice(options)).event()
        async with self._servers.lease() as server, server.client.line() as line:
            await line.say(request)
            torn = b""
            while True:
                event = await line.hear(self._options.answer_timeout_s)
                if AudioStop.is_type(event.type):
                    return
                if not AudioChunk.is_type(event.type):
                    continue
                chunk = AudioChunk.from_event(event)
                pcm = torn + chunk.audio
                whole = len(pcm) - len(pcm) % (2 * chunk.channels)
                torn = pcm[whole:]
                if whole:
                    yield Audio(_sound(chunk, pcm[:whole]), chunk.rate)

    def voices(self) -> Sequence[Voice]:
        """Those of the first server, known once it has been warmed up or checked."""
        return self._voices

    async def close(self) -> None:
        await self._servers.close()

    def _voice(self, options: SpeechOptions) -> SynthesizeVoice | None:
        wanted = options.voice or self._options.voice
        if not wanted:
            return SynthesizeVoice(language=options.language) if options.language else None
        known = [voice.id for voice in self._voices]
        if known and wanted not in known:
            raise NotFound(f"{ENGINE} has no {wanted!r}.", hint=did_you_mean(wanted, known))
        name, _, speaker = wanted.partition(SPEAKER)
        return SynthesizeVoice(name=name, speaker=speaker or None)

    async def _status(self, server: WyomingServer) -> Status:
        info = await server.describe()
        if not info.tts:
            return Status(
                False,
                f"the server at {server.where} does not speak",
                "Give the address of a text-to-speech server; its usual port is 10200.",
            )
        voices = tuple(_voices(info))
        if server is self._servers.all[0].client:
            self._voices = voices
        wanted = self._options.voice
        if wanted and voices and wanted not in [voice.id for voice in voices]:
            hint = did_you_mean(wanted, [voice.id for voice in voices])
            return Status(False, f"the server at {server.where} has no voice {wanted}", hint)
        named = wanted or f"{len(voices)} voices"
        return Status(True, f"{info.tts[0].name} at {server.where}, {named}")


def _voices(info: Info) -> Iterator[Voice]:
    for program in info.tts:
        for voice in program.voices:
            yield from _with_speakers(voice)


def _with_speakers(voice: TtsVoice) -> Iterator[Voice]:
    language = voice.languages[0] if voice.languages else ""
    name = voice.description or voice.name
    yield Voice(voice.name, name, language)
    for speaker in voice.speakers or ():
        yield Voice(f"{voice.name}{SPEAKER}{speaker.name}", f"{name}, {speaker.name}", language)


def _sound(chunk: AudioChunk, pcm: bytes) -> bytes:
    if chunk.width != 2 or chunk.channels not in (1, 2) or chunk.rate <= 0:
        raise EngineFailed(
            f"{ENGINE} sent sound of {chunk.width * 8} bits in {chunk.channels} channels."
        )
    return mono(pcm) if chunk.channels == 2 else pcm


SPEC: EngineSpec[WyomingSpeech] = EngineSpec(
    kind="tts",
    name="wyoming",
    options=WyomingTtsOptions,
    open=WyomingSpeech,
    summary="A voice of the Wyoming kind, as Home Assistant uses them.",
    available=is_set_up,
    environment={"uri": "PARLEY_WYOMING_TTS_URI"},
)
