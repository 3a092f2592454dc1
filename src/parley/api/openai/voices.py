"""Voices by the names that clients know: OpenAI's thirteen, and those of the engine itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, Depends, Request

from parley.api.openai.answers import VoiceList
from parley.api.openai.bodies import tenant_of
from parley.api.openai.engines import Guard, SpeakingDesk, SpeakingEngine
from parley.core.answers import ENGINE_FAULTS, answers
from parley.core.errors import InvalidValue
from parley.core.registry import did_you_mean
from parley.engines.spec import Voice
from parley.engines.tts.openai_voices import OPENAI_VOICES

# The OpenAI name says how high or deep its voice is; where an engine's names do too, they match.
_ALIASES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "builtin": {
            "alloy": "en-us+f3", "ash": "en-us+m3", "ballad": "en-gb+m1", "cedar": "en-us+m4",
            "coral": "en-us+f2", "echo": "en-us+m1", "fable": "en-gb+m3", "marin": "en-gb+f3",
            "nova": "en-us+f4", "onyx": "en-us+m7", "sage": "en-us+f1", "shimmer": "en-us+f5",
            "verse": "en-us+m2",
        },
        "kokoro": {
            "alloy": "af_alloy", "ash": "am_michael", "ballad": "bm_george", "cedar": "am_fenrir",
            "coral": "af_bella", "echo": "am_echo", "fable": "bm_fable", "marin": "af_heart",
            "nova": "af_nova", "onyx": "am_onyx", "sage": "af_sarah", "shimmer": "af_sky",
            "verse": "am_puck",
        },
    }
)  # fmt: skip
# These understand OpenAI's names themselves.
_BILINGUAL = frozenset({"openai", "orpheus", "speaches"})
LANGUAGE = "en"
_LONG_HINT = 200


def local_voice(speaking: SpeakingEngine, wanted: str, language: str = "") -> str:
    """The engine's own name for the voice that a client asks for; "" is its default voice.

    Raises ``InvalidValue`` for a voice that nobody has.
    """
    voices = speaking.voices()
    known = {voice.id for voice in voices}
    if not wanted or wanted in known:
        return wanted
    if wanted in OPENAI_VOICES:
        return _alias(speaking.name, wanted, voices, language or LANGUAGE)
    by_name = {voice.name.lower(): voice.id for voice in voices}
    if wanted.lower() in by_name:
        return by_name[wanted.lower()]
    if not known or speaking.owns_voice(wanted):
        return wanted
    raise InvalidValue(
        f"{speaking.name} has no voice {wanted!r}.",
        hint=_nearest(wanted, known),
        param="voice",
    )


def _nearest(wanted: str, known: set[str]) -> str:
    hint = did_you_mean(wanted, known)
    # Some engines have hundreds.
    return hint if len(hint) < _LONG_HINT else "GET /v1/audio/voices lists them."


def _alias(engine: str, wanted: str, voices: Sequence[Voice], language: str) -> str:
    """Always the same voice for the same name, and different ones while there are enough."""
    if engine in _BILINGUAL:
        return wanted
    spoken = language.split("-")[0].lower()
    fitting = [voice.id for voice in voices if voice.language.lower().startswith(spoken)]
    alias = _ALIASES.get(engine, {}).get(wanted, "")
    if alias in fitting:
        return alias
    if len(fitting) < 2:
        return ""
    return fitting[OPENAI_VOICES.index(wanted) % len(fitting)]


def voices_router(desk: SpeakingDesk, guard: Guard) -> APIRouter:
    """``GET /v1/audio/voices``: what can be asked for as ``voice``."""
    return _Voices(desk).router(guard)


class _Voices:
    def __init__(self, desk: SpeakingDesk) -> None:
        self._desk = desk

    def router(self, guard: Guard) -> APIRouter:
        router = APIRouter(tags=["audio"], dependencies=[Depends(guard)])
        router.add_api_route(
            "/v1/audio/voices",
            self.list,
            methods=["GET"],
            summary="List voices",
            responses=answers(404, *ENGINE_FAULTS, ok=VoiceList),
        )
        return router

    async def list(self, request: Request, model: str = "") -> dict[str, Any]:
        """The voices of a model, or of the default one; OpenAI's names come last."""
        speaking = await self._desk.speaking(model, tenant_of(request))
        own = [_entry(voice, speaking) for voice in speaking.voices()]
        known = {entry["id"] for entry in own}
        aliases = [
            _entry(Voice(name, name.title(), LANGUAGE), speaking, local_voice(speaking, name))
            for name in OPENAI_VOICES
            if name not in known
        ]
        return {"object": "list", "voices": own + aliases}


def _entry(voice: Voice, speaking: SpeakingEngine, alias_of: str | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": voice.id,
        "object": "audio.voice",
        "name": voice.name,
        "language": voice.language,
        "model": speaking.model,
    }
    if alias_of is not None:
        entry["alias_of"] = alias_of
    return entry
