"""Speaches hears: Whisper (and others) behind OpenAI's route, on a machine of one's own."""

from __future__ import annotations

from pydantic import Field

from parley.engines.remote.speaches import ENGINE, NAME, SpeachesOptions
from parley.engines.remote.speaches_engine import SpeachesEngine, is_set_up
from parley.engines.spec import EngineSpec
from parley.engines.stt.posted import PostedTranscriber, PostingOptions, Utterance

DEFAULT_MODEL = "Systran/faster-distil-whisper-small.en"
_OTHER_KINDS = ("moonshine", "kokoro", "piper", "orpheus", "llama")


class SpeachesHearingOptions(SpeachesOptions, PostingOptions):
    """Options of the STT engine ``speaches``."""

    model: str = Field(DEFAULT_MODEL, min_length=1, description="The model, as Speaches names it.")
    hotwords: str = Field("", description="Words that the model should lean towards.")


class SpeachesTranscriber(SpeachesEngine, PostedTranscriber):
    """A ``Transcriber`` and a ``ModelKeeper``."""

    def __init__(self, options: SpeachesHearingOptions) -> None:
        SpeachesEngine.__init__(self, options, options.model)
        self._hotwords = options.hotwords
        PostedTranscriber.__init__(
            self,
            NAME,
            self._models.servers,
            options.model,
            options,
            max_concurrent=options.max_concurrent,
        )

    async def warm_up(self) -> None:
        """Have the model in Speaches' memory before the first caller speaks."""
        await self._models.load()

    def more_fields(self, utterance: Utterance) -> dict[str, str]:
        fields = {"hotwords": self._hotwords} if self._hotwords else {}
        if utterance.options.words:
            # Without them Speaches' segments are as long as the speech between two pauses.
            fields["without_timestamps"] = "false"
        return fields


def owns_model(model: str) -> bool:
    """A name of the Hugging Face hub that is none of another engine's."""
    owner, slash, name = model.partition("/")
    is_hub_name = bool(owner and slash and name) and "/" not in name
    return is_hub_name and not any(each in name.lower() for each in _OTHER_KINDS)


SPEC = EngineSpec(
    kind="stt",
    name=ENGINE,
    abilities=frozenset({"words", "translate"}),
    options=SpeachesHearingOptions,
    open=SpeachesTranscriber,
    summary="Whisper by Speaches",
    available=is_set_up,
    environment={
        "base_url": "SPEACHES_BASE_URL",
        "api_key": "PARLEY_SPEACHES_API_KEY",
        "model": "STT_MODEL",
    },
    owns_model=owns_model,
)
