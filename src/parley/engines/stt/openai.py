"""OpenAI's recognisers, and any server with the same route: whisper.cpp, LocalAI, vLLM …"""

from __future__ import annotations

from pydantic import Field

from parley.engines.remote.openai_speech import (
    ENGINE,
    NAME,
    OpenAISpeechOptions,
    OpenAISpeechServers,
)
from parley.engines.spec import EngineSpec, Status
from parley.engines.stt.posted import PostedTranscriber, PostingOptions

ROUTE = "audio/transcriptions"
OFFICIAL_MODEL = "gpt-4o-mini-transcribe"
# The name that servers of other makers take for whatever model they have.
USUAL_MODEL = "whisper-1"


class OpenAIHearingOptions(OpenAISpeechOptions, PostingOptions):
    """Options of the STT engine ``openai``."""

    model: str = Field(
        "",
        description=f"The model; {OFFICIAL_MODEL} at OpenAI and {USUAL_MODEL} elsewhere.",
    )

    @property
    def model_in_use(self) -> str:
        return self.model or (OFFICIAL_MODEL if self.is_official else USUAL_MODEL)


class OpenAITranscriber(PostedTranscriber):
    """A ``Transcriber``."""

    def __init__(self, options: OpenAIHearingOptions) -> None:
        model = options.model_in_use
        self._state = OpenAISpeechServers(options, model, ROUTE)
        super().__init__(
            NAME, self._state.all, model, options, max_concurrent=options.max_concurrent
        )

    async def warm_up(self) -> None:
        """Open a connection, for the first turn; whether it answers is for ``check`` to say."""
        await self._state.check()

    async def check(self) -> Status:
        return await self._state.check()

    async def close(self) -> None:
        await self._state.close()


def owns_model(model: str) -> bool:
    return model.startswith("whisper-1") or (model.startswith("gpt-") and "transcribe" in model)


def _is_available(options: OpenAIHearingOptions) -> bool:
    return options.is_set_up


SPEC = EngineSpec(
    kind="stt",
    name=ENGINE,
    abilities=frozenset({"words", "translate"}),
    options=OpenAIHearingOptions,
    open=OpenAITranscriber,
    summary="OpenAI, or any server with its transcription route",
    available=_is_available,
    environment={
        "base_url": "OPENAI_BASE_URL",
        "api_key": "OPENAI_API_KEY",
        "model": "STT_MODEL",
    },
    owns_model=owns_model,
    owns_any_with="OPENAI_BASE_URL",
)
