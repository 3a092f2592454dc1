"""Deepgram's voices (Aura), streamed over HTTP: sound leaves as it is made.

HTTP and not its WebSocket: there, ending a sentence takes a Flush, of which Deepgram allows 20 a
minute, and an interruption has to wait for Cleared; here, closing the request ends the work.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx
from pydantic import Field

from parley.core.audio import Audio
from parley.core.errors import ParleyError
from parley.engines.remote.deepgram import (
    ENGINE,
    DeepgramOptions,
    client_for,
    headers_for,
    is_configured,
    key_status,
    models_of,
)
from parley.engines.remote.failures import failure_of, told_plainly
from parley.engines.remote.instances import Instances
from parley.engines.remote.room import require_room
from parley.engines.remote.standing import standing
from parley.engines.remote.text_pieces import text_pieces
from parley.engines.spec import EngineSpec, SpeechOptions, Status, Voice

LONGEST_TEXT = 2000
"""Characters in one request, by Deepgram's rules."""
SLOWEST, FASTEST = 0.7, 1.5
_VOICE = re.compile(r"aura(-2)?-[a-z]+-[a-z]{2}(-[a-z]{2})?", re.IGNORECASE)


class DeepgramTtsOptions(DeepgramOptions):
    """What an agent or a setting can say of Deepgram's voices."""

    model: str = Field("aura-2-thalia-en", description="The voice, which is a model to Deepgram.")
    sample_rate_hz: int = Field(24_000, description="8000, 16000, 24000, 32000 or 48000.")


class DeepgramSpeech:
    """Implements ``Synthesizer`` over Deepgram's ``/v1/speak``."""

    def __init__(self, options: DeepgramTtsOptions) -> None:
        headers_for(options)
        self._options = options
        self._voices: tuple[Voice, ...] = (_voice_named(options.model),)
        self._servers = Instances(
            options.base_url, lambda url: client_for(url, options), httpx.AsyncClient.aclose
        )

    async def warm_up(self) -> None:
        """Fetch the list of voices; the connection stays open for the first words."""
        try:
            await self._fetch_voices()
        except ParleyError:
            # Whether Deepgram can speak is the check's to say; the list is a comfort.
            return

    async def check(self) -> Status:
        return await standing(self._servers.all, key_status)

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        """``options.speed`` works for voices of Aura 2, within Deepgram's bounds."""
        if not text.strip():
            return
        require_room(ENGINE, self._servers, self._options.max_concurrent)
        rate_hz = self._options.sample_rate_hz
        query = {
            "model": options.voice or self._options.model,
            "encoding": "linear16",
            "container": "none",
            "sample_rate": str(rate_hz),
        }
        if options.speed != 1.0:
            query["speed"] = f"{min(max(options.speed, SLOWEST), FASTEST):.2f}"
        async with self._servers.lease() as server:
            for piece in text_pieces(text, LONGEST_TEXT):
                torn = b""
                with told_plainly(ENGINE, server.url):
                    request = server.client.stream(
                        "POST", "/v1/speak", params=query, json={"text": piece}
                    )
                    async with request as answer:
                        if answer.status_code >= 400:
                            await answer.aread()
                            raise failure_of(ENGINE, server.url, answer)
                        async for data in answer.aiter_raw():
                            pcm = torn + data
                            whole = len(pcm) - len(pcm) % 2
                            torn = pcm[whole:]
                            if whole:
                                yield Audio(pcm[:whole], rate_hz)

    def voices(self) -> Sequence[Voice]:
        return self._voices

    async def close(self) -> None:
        await self._servers.close()

    async def _fetch_voices(self) -> None:
        server = self._servers.all[0]
        listed = await models_of(server.client, "tts")
        if listed:
            self._voices = tuple(_voice(model) for model in listed)


def _voice(model: dict[str, Any]) -> Voice:
    name = str(model.get("canonical_name") or model["name"])
    languages: Any = model.get("languages") or ()
    language = str(languages[0]) if languages else _voice_named(name).language
    return Voice(name, str(model.get("name") or name).capitalize(), language)


def _voice_named(model: str) -> Voice:
    """``aura-2-thalia-en`` tells name and language by itself."""
    parts = model.split("-")
    if not _VOICE.fullmatch(model):
        return Voice(model, model, "")
    at = 2 if parts[1] == "2" else 1
    return Voice(model, parts[at].capitalize(), "-".join(parts[at + 1 :]))


def _is_model(value: str) -> bool:
    return value.strip().lower().startswith("aura")


SPEC: EngineSpec[DeepgramSpeech] = EngineSpec(
    kind="tts",
    name="deepgram",
    options=DeepgramTtsOptions,
    open=DeepgramSpeech,
    summary="Deepgram's Aura voices in the cloud (or your own), streamed.",
    available=is_configured,
    environment={
        "api_key": "DEEPGRAM_API_KEY",
        "base_url": "DEEPGRAM_BASE_URL",
        "model": "TTS_MODEL",
    },
    owns_model=_is_model,
)
