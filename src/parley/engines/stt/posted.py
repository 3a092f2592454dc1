"""Hears utterances by posting them to a server with OpenAI's transcription route."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from parley.core.audio import BYTES_PER_SAMPLE, Audio
from parley.core.errors import EngineRefusedRequest, ModelMissing
from parley.core.log import get_logger
from parley.engines.remote.failures import told_plainly
from parley.engines.remote.instances import Instances
from parley.engines.remote.room import require_room
from parley.engines.remote.speech_server import SpeechServer
from parley.engines.spec import EngineOptions, TranscribeOptions, TranscriptPart
from parley.engines.stt.gathering import gather_utterance
from parley.engines.stt.phantoms import is_phantom, may_be_phantom
from parley.engines.stt.silence import is_nearly_silent, spoken_ms
from parley.engines.stt.transcripts import Transcript, read_deltas, read_transcript

log = get_logger(__name__)

RATE_HZ = 16_000
# 19 MB at 16 kHz: OpenAI takes 25.
LONGEST_S = 600.0
AnswerFormat = Literal["auto", "json", "verbose_json"]
# These answer in plain JSON only, and send words as they find them.
_TOKEN_BY_TOKEN = ("gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe")
_PLAIN_ONLY = (*_TOKEN_BY_TOKEN, "parakeet", "canary")


class PostingOptions(EngineOptions):
    """Options that every engine of this kind has."""

    response_format: AnswerFormat = Field(
        "auto",
        description="How the server answers. verbose_json tells of doubts, times and words.",
    )
    stream: bool | None = Field(
        None, description="Show words while they are found; by default with models that do so."
    )
    longest_s: float = Field(LONGEST_S, gt=0, description="The longest utterance, in seconds.")
    prompt: str = Field("", description="Names and words to expect, in a sentence.")
    temperature: float | None = Field(None, ge=0, le=1, description="How freely it guesses.")


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is posted."""

    pcm: bytes
    options: TranscribeOptions

    @property
    def duration_ms(self) -> int:
        return len(self.pcm) * 1000 // (BYTES_PER_SAMPLE * RATE_HZ)


class PostedTranscriber:
    """The core of a ``Transcriber``; engines add which servers, which model, and their state."""

    def __init__(
        self,
        name: str,
        servers: Instances[SpeechServer],
        model: str,
        options: PostingOptions,
        *,
        max_concurrent: int | None = None,
    ) -> None:
        self._name = name
        self._servers = servers
        self._model = model
        self._posting = options
        self._max_concurrent = max_concurrent
        self._refuses_verbose = False

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        """One utterance. A final part with no text says that nobody spoke."""
        pcm = await gather_utterance(audio, RATE_HZ, self._posting.longest_s)
        utterance = Utterance(pcm, options)
        if is_nearly_silent(pcm, RATE_HZ):
            yield TranscriptPart("", True, 0, utterance.duration_ms)
            return
        require_room(self._name, self._servers, self._max_concurrent)
        async with self._servers.lease() as instance:
            server = instance.client
            async with aclosing(self._answers(server, utterance)) as transcripts:
                last = Transcript("")
                async for transcript in transcripts:
                    if not transcript.is_whole and not may_be_phantom(transcript.text):
                        yield TranscriptPart(transcript.text, False)
                    last = transcript
        for part in _finals(utterance, last):
            yield part

    async def supply(self, server: SpeechServer, missing: ModelMissing) -> None:
        """Called for a model that a server lacks, before it is asked once more."""
        raise missing

    def more_fields(self, utterance: Utterance) -> dict[str, str]:
        """What this engine's servers understand beyond OpenAI's fields."""
        return {}

    async def _answers(
        self, server: SpeechServer, utterance: Utterance
    ) -> AsyncGenerator[Transcript]:
        """Asks again for two reasons only: a model was supplied, or another form of answer."""
        while True:
            form = self._form(utterance)
            try:
                async with aclosing(self._ask(server, utterance, form)) as transcripts:
                    async for transcript in transcripts:
                        yield transcript
                return
            except ModelMissing as missing:
                await self.supply(server, missing)
                async with aclosing(self._ask(server, utterance, form)) as transcripts:
                    async for transcript in transcripts:
                        yield transcript
                return
            except EngineRefusedRequest as error:
                if "response_format" not in error.message or not self._falls_back(form):
                    raise
                log.info("stt_answers_plain_json_only", model=self._model, url=server.where)
                self._refuses_verbose = True

    async def _ask(
        self, server: SpeechServer, utterance: Utterance, form: dict[str, str | list[str]]
    ) -> AsyncGenerator[Transcript]:
        route = "translations" if utterance.options.translate else "transcriptions"
        sound = ("audio.wav", _wav(utterance.pcm), "audio/wav")
        asking = server.ask(
            "POST",
            f"audio/{route}",
            model=self._model,
            form=form,
            files={"file": sound},
            silent_s=utterance.duration_ms / 1000,
        )
        with told_plainly(self._name, server.url):
            async with asking as response:
                kind = response.headers.get("content-type", "")
                if kind.startswith("text/event-stream"):
                    async with aclosing(read_deltas(response.aiter_lines())) as transcripts:
                        async for transcript in transcripts:
                            yield transcript
                    return
                await response.aread()
                yield read_transcript(response.text, kind)

    def _form(self, utterance: Utterance) -> dict[str, str | list[str]]:
        options, posting = utterance.options, self._posting
        streams = self._streams(options)
        form: dict[str, str | list[str]] = {"model": self._model, **self.more_fields(utterance)}
        form["response_format"] = "json" if streams else self._format()
        if prompt := options.prompt or posting.prompt:
            form["prompt"] = prompt
        if posting.temperature is not None:
            form["temperature"] = f"{posting.temperature:g}"
        if options.translate:
            return form
        if language := _iso_639_1(options.language):
            form["language"] = language
        if options.words and form["response_format"] == "verbose_json":
            form["timestamp_granularities[]"] = ["word", "segment"]
        if streams:
            form["stream"] = "true"
        return form

    def _format(self) -> str:
        if self._posting.response_format != "auto":
            return self._posting.response_format
        is_plain = self._refuses_verbose or _is_one_of(self._model, _PLAIN_ONLY)
        return "json" if is_plain else "verbose_json"

    def _streams(self, options: TranscribeOptions) -> bool:
        if options.translate or options.words:
            return False
        chosen = self._posting.stream
        return _is_one_of(self._model, _TOKEN_BY_TOKEN) if chosen is None else chosen

    def _falls_back(self, form: dict[str, str | list[str]]) -> bool:
        is_free = self._posting.response_format == "auto"
        return is_free and form["response_format"] == "verbose_json"


def _finals(utterance: Utterance, heard: Transcript) -> list[TranscriptPart]:
    """The final parts: one for each segment where the server told of them."""
    nothing = TranscriptPart("", True, 0, utterance.duration_ms)
    spoken = spoken_ms(utterance.pcm, RATE_HZ)
    if is_phantom(heard.text, spoken, heard.scores):
        log.info("stt_phantom_dropped", spoken_ms=spoken, duration_ms=utterance.duration_ms)
        return [nothing]
    segments = [each for each in heard.segments if each.text]
    if " ".join(each.text for each in segments) != heard.text:
        words = tuple(word for each in heard.segments for word in each.words)
        return [TranscriptPart(heard.text, True, 0, utterance.duration_ms, words)]
    return [
        TranscriptPart(each.text, True, each.start_ms, each.end_ms, each.words) for each in segments
    ] or [nothing]


def _wav(pcm: bytes) -> bytes:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm)
    return sound.getvalue()


def _iso_639_1(language: str) -> str:
    """``de-AT`` → ``de``; "" and ``auto`` leave it to the server to find out."""
    code = language.split("-")[0].split("_")[0].lower()
    return "" if code == "auto" else code


def _is_one_of(model: str, families: tuple[str, ...]) -> bool:
    return any(family in model.lower() for family in families)
