"""OpenAI's voices, and any server with the same route: LocalAI, Kokoro-FastAPI, vLLM …"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from parley.core.errors import EngineFailed, EngineRefusedRequest
from parley.core.log import get_logger
from parley.engines.remote.openai_speech import (
    ENGINE,
    NAME,
    OpenAISpeechOptions,
    OpenAISpeechServers,
)
from parley.engines.remote.speech_server import SpeechServer, listed
from parley.engines.spec import EngineSpec, SpeechOptions, Status, Voice
from parley.engines.tts.openai_voices import OPENAI_VOICES
from parley.engines.tts.requested import RequestedSpeech, RequestingOptions

log = get_logger(__name__)

ROUTE = "audio/speech"
OFFICIAL_MODEL = "gpt-4o-mini-tts"
# The name that servers of other makers take for whatever model they have.
USUAL_MODEL = "tts-1"
DEFAULT_VOICE = "alloy"
VOICES_LIMIT_S = 3.0


class OpenAISpeakingOptions(OpenAISpeechOptions, RequestingOptions):
    """Options of the TTS engine ``openai``."""

    model: str = Field(
        "",
        description=f"The model; {OFFICIAL_MODEL} at OpenAI and {USUAL_MODEL} elsewhere.",
    )
    voice: str = Field(DEFAULT_VOICE, description="The voice; voice_… for one of your own.")

    @property
    def model_in_use(self) -> str:
        return self.model or (OFFICIAL_MODEL if self.is_official else USUAL_MODEL)


class OpenAISpeech(RequestedSpeech):
    """A ``Synthesizer``."""

    def __init__(self, options: OpenAISpeakingOptions) -> None:
        model = options.model_in_use
        self._options = options
        self._state = OpenAISpeechServers(options, model, ROUTE)
        self._voices: tuple[Voice, ...] = ()
        super().__init__(
            NAME, self._state.all, model, options, max_concurrent=options.max_concurrent
        )

    async def warm_up(self) -> None:
        """Open a connection, and learn the voices where the server has a list of them."""
        await self._state.check()
        if not self._options.is_official:
            found = await asyncio.gather(*(_voices(each.client) for each in self._state.all.all))
            self._voices = tuple({voice.id: voice for voices in found for voice in voices}.values())

    async def check(self) -> Status:
        return await self._state.check()

    def voices(self) -> Sequence[Voice]:
        """OpenAI's own, unless the server told of others when it was warmed up."""
        return self._voices or [Voice(name, name.title(), "") for name in OPENAI_VOICES]

    def voice_for(self, options: SpeechOptions) -> Any:
        voice = super().voice_for(options) or DEFAULT_VOICE
        # A voice of one's own is an object at OpenAI.
        return {"id": voice} if voice.startswith("voice_") else voice

    async def close(self) -> None:
        await self._state.close()


async def _voices(server: SpeechServer) -> list[Voice]:
    try:
        async with asyncio.timeout(VOICES_LIMIT_S):
            entries = listed(await server.get("audio/voices"), "voices")
    except (EngineFailed, EngineRefusedRequest, TimeoutError) as error:
        log.debug("openai_voices_unknown", url=server.where, error=str(error))
        return []
    ids = [(str(entry.get("id") or entry.get("name") or ""), entry) for entry in entries]
    return [
        Voice(id, str(entry.get("name") or id), str(entry.get("language") or ""))
        for id, entry in ids
        if id
    ]


def owns_model(model: str) -> bool:
    return model.startswith("tts-1") or (model.startswith("gpt-") and "tts" in model)


def owns_voice(voice: str) -> bool:
    return voice in OPENAI_VOICES or voice.startswith("voice_")


def _is_available(options: OpenAISpeakingOptions) -> bool:
    return options.is_set_up


SPEC = EngineSpec(
    kind="tts",
    name=ENGINE,
    options=OpenAISpeakingOptions,
    open=OpenAISpeech,
    summary="OpenAI, or any server with its speech route",
    available=_is_available,
    environment={
        "base_url": "OPENAI_BASE_URL",
        "api_key": "OPENAI_API_KEY",
        "model": "TTS_MODEL",
        "voice": "TTS_VOICE",
    },
    owns_model=owns_model,
    owns_voice=owns_voice,
    owns_any_with="OPENAI_BASE_URL",
)
