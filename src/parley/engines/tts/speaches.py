"""Speaches speaks: Kokoro and Piper voices behind OpenAI's route, on a machine of one's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from parley.core.errors import NotFound
from parley.core.registry import did_you_mean
from parley.engines.remote.speaches import ENGINE, NAME, KnownModel, SpeachesOptions
from parley.engines.remote.speaches_engine import SpeachesEngine, is_set_up
from parley.engines.spec import EngineSpec, SpeechOptions, Voice
from parley.engines.tts.openai_voices import OPENAI_VOICES
from parley.engines.tts.requested import RATE_HZ, RequestedSpeech, RequestingOptions

DEFAULT_MODEL = "speaches-ai/Kokoro-82M-v1.0-ONNX"
DEFAULT_VOICE = "af_heart"
_KOKORO_VOICE = re.compile(r"[a-z][fm]_[a-z]+")


class SpeachesSpeakingOptions(SpeachesOptions, RequestingOptions):
    """Options of the TTS engine ``speaches``."""

    model: str = Field(DEFAULT_MODEL, min_length=1, description="The model, as Speaches names it.")
    voice: str = Field(
        "",
        description=f"The voice; {DEFAULT_VOICE}, or one that fits model and language, if empty.",
    )


class SpeachesSpeech(SpeachesEngine, RequestedSpeech):
    """A ``Synthesizer`` and a ``ModelKeeper``."""

    def __init__(self, options: SpeachesSpeakingOptions) -> None:
        SpeachesEngine.__init__(self, options, options.model)
        self._options = options
        RequestedSpeech.__init__(
            self,
            NAME,
            self._models.servers,
            options.model,
            options,
            max_concurrent=options.max_concurrent,
        )

    async def warm_up(self) -> None:
        """Have the model in Speaches' memory, and learn its rate and voices."""
        await self._models.check()
        await self._models.load()

    def voices(self) -> Sequence[Voice]:
        """Known once it has been warmed up or checked."""
        return [Voice(id, id, language) for id, language in self._known.voices]

    def voice_for(self, options: SpeechOptions) -> str:
        """For an unknown voice Speaches breaks off after it has said that all is well."""
        wanted = options.voice or self._options.voice
        known = dict(self._known.voices)
        if not wanted:
            return self._voice_of_language(options.language, known)
        # A Piper model is one voice and speaks whatever the voice is called.
        if known and _is_kokoro(self._model) and wanted not in known | dict.fromkeys(OPENAI_VOICES):
            raise NotFound(
                f"{self._model} has no voice {wanted!r}.", hint=did_you_mean(wanted, known)
            )
        return wanted

    def speed_for(self, wanted: float) -> float:
        slowest, fastest = (0.5, 2.0) if _is_kokoro(self._model) else (0.25, 4.0)
        return min(max(wanted, slowest), fastest)

    def rate_hz(self) -> int:
        return self._known.rate_hz or RATE_HZ

    def more_fields(self) -> dict[str, Any]:
        # Raw sound doesn't say its rate, and the listed one is wrong for some Piper models:
        # Speaches resamples only where the model's own rate differs.
        return {"sample_rate": self.rate_hz()}

    @property
    def _known(self) -> KnownModel:
        return self._models.known.get(self._model) or KnownModel(self._model)

    def _voice_of_language(self, language: str, known: dict[str, str]) -> str:
        default = DEFAULT_VOICE if not known or DEFAULT_VOICE in known else next(iter(known))
        wanted = language.lower().replace("_", "-")
        voices = {default: known.get(default, "en-us"), **known} if wanted else {}
        exact = [voice for voice, speaks in voices.items() if speaks.lower() == wanted]
        near = [voice for voice, speaks in voices.items() if _primary(speaks) == _primary(wanted)]
        return next(iter([*exact, *near]), default)


def _primary(language: str) -> str:
    return re.split("[-_]", language.lower())[0]


def _is_kokoro(model: str) -> bool:
    return "piper" not in model.lower()


def owns_model(model: str) -> bool:
    """A name of the hub that says Kokoro or Piper, or one of Speaches' own."""
    owner, slash, name = model.partition("/")
    is_ours = owner == "speaches-ai" or "kokoro" in name.lower() or "piper" in name.lower()
    return bool(owner and slash and name) and is_ours


def owns_voice(voice: str) -> bool:
    """Named like ``af_heart``, as Kokoro's voices are."""
    return bool(_KOKORO_VOICE.fullmatch(voice.strip()))


SPEC = EngineSpec(
    kind="tts",
    name=ENGINE,
    options=SpeachesSpeakingOptions,
    open=SpeachesSpeech,
    summary="Kokoro by Speaches",
    available=is_set_up,
    environment={
        "base_url": "SPEACHES_BASE_URL",
        "api_key": "PARLEY_SPEACHES_API_KEY",
        "model": "TTS_MODEL",
        "voice": "TTS_VOICE",
    },
    owns_model=owns_model,
    owns_voice=owns_voice,
)
