"""Whisper in this process, on faster-whisper (CTranslate2): understands about 100 languages.

An utterance is recognised when it is over. Near-silence never reaches the model, and sentences
that Whisper is known to invent are dropped. The interpreter's lock is free while the model
computes, so it runs in threads of this process.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import Field, field_validator

from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import EngineFailed, NotSupported
from parley.core.log import get_logger
from parley.engines.local import MODELS, LocalEngine, LocalModelOptions, is_installed, load_failure
from parley.engines.model_files import ModelFiles
from parley.engines.remote.hub import HubModel
from parley.engines.resources import Demand, Share
from parley.engines.spec import EngineSpec, TranscribeOptions, TranscriptPart, Word
from parley.engines.stt.gathering import gather_utterance
from parley.engines.stt.phantoms import Scores, is_phantom
from parley.engines.stt.silence import is_nearly_silent, spoken_ms

log = get_logger(__name__)

RATE_HZ = 16_000
WANTED = (
    "config.json",
    "model.bin",
    "preprocessor_config.json",
    "tokenizer.json",
    "vocabulary.*",
)
NEEDS = ("config.json", "model.bin", "tokenizer.json")
_SYSTRAN = {
    "tiny": 78_000_000,
    "tiny.en": 78_000_000,
    "base": 148_000_000,
    "base.en": 148_000_000,
    "small": 487_000_000,
    "small.en": 487_000_000,
    "medium": 1_531_000_000,
    "medium.en": 1_531_000_000,
    "large-v3": 3_091_000_000,
}
KNOWN = {
    **{name: HubModel(f"Systran/faster-whisper-{name}", WANTED, n) for name, n in _SYSTRAN.items()},
    "large-v3-turbo": HubModel(
        "mobiuslabsgmbh/faster-whisper-large-v3-turbo", WANTED, 1_620_000_000
    ),
    "distil-small.en": HubModel("Systran/faster-distil-whisper-small.en", WANTED, 335_000_000),
    "distil-large-v3": HubModel("Systran/faster-distil-whisper-large-v3", WANTED, 1_515_000_000),
}
_BY_REPO = {source.repo: name for name, source in KNOWN.items()}
RECOMMENDED = "small"
WHOLE_WINDOW_S = 28
"""Up to here an utterance fits the model's window of 30 s, and no times are needed to go on."""
FEWEST_TOKENS, TOKENS_PER_S, MOST_TOKENS = 32, 12, 220
"""A reply that goes round in circles ends here: nobody speaks faster."""
GPU_EXTRA_MB = 700


class WhisperOptions(LocalModelOptions):
    """``model`` is a size, a repository with a CTranslate2 conversion, or a folder."""

    model: str = Field(
        RECOMMENDED,
        description=f"{', '.join(KNOWN)}, a repository (owner/name) or a folder.",
    )
    beam_size: int = Field(1, ge=1, le=10, description="More is slower and a little more exact.")
    longest_s: float = Field(120.0, gt=0, le=7200, description="The longest utterance.")

    @field_validator("model")
    @classmethod
    def _short_name(cls, value: str) -> str:
        return _BY_REPO.get(value, value)


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: Any
    executor: ThreadPoolExecutor
    languages: frozenset[str]


class Whisper(LocalEngine[_Loaded]):
    """Implements ``Transcriber``, ``ModelKeeper`` and ``UsesResources``."""

    def __init__(self, options: WhisperOptions) -> None:
        folder = options.data_dir / MODELS / "whisper"
        files = ModelFiles("whisper", folder, KNOWN, NEEDS, _from_repo)
        super().__init__(options, files, "faster_whisper", "whisper")
        self._options = options

    def demand(self) -> Demand:
        gpu_mb = self._model_mb() + GPU_EXTRA_MB
        return Demand("whisper", 2, self._options, gpu_mb, threads_per_worker=4, most_workers=4)

    async def warm_up(self) -> None:
        """Load the model and let it hear half a second of noise."""
        loaded = await self._load()
        noise = np.random.default_rng(1).normal(0, 0.01, RATE_HZ // 2).astype(np.float32)
        job = _Job(noise, self._how(TranscribeOptions(), loaded, 0.5))
        await asyncio.wrap_future(loaded.executor.submit(job.run, loaded.model))

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        """Final parts only, once the utterance is over; an empty one when nobody spoke.

        Raises ``BadAudio`` for an utterance that is too long, ``NotSupported`` for a language that
        the model doesn't know, ``EngineUnavailable`` when it can't be loaded.
        """
        loaded = await self._load()
        pcm = await gather_utterance(audio, RATE_HZ, self._options.longest_s)
        seconds = len(pcm) / pcm_bytes(1000, RATE_HZ)
        nothing = TranscriptPart("", True, 0, round(seconds * 1000))
        if is_nearly_silent(pcm, RATE_HZ):
            yield nothing
            return
        samples = np.frombuffer(pcm, np.int16).astype(np.float32) / 32768
        job = _Job(samples, self._how(options, loaded, seconds))
        work = loaded.executor.submit(job.run, loaded.model)
        try:
            segments = await asyncio.wrap_future(work)
        finally:
            job.stop()
            work.cancel()
        text = "".join(str(segment.text) for segment in segments).strip()
        if is_phantom(text, spoken_ms(pcm, RATE_HZ), [_scores(each) for each in segments]):
            log.info("phantom_dropped", engine="whisper", characters=len(text))
            segments = []
        for part in map(_part, segments) if segments else (nothing,):
            yield part

    def _open(self, folder: Path, share: Share) -> _Loaded:
        return _load(folder, share)

    def _shut(self, loaded: _Loaded) -> None:
        loaded.executor.shutdown(wait=True, cancel_futures=True)

    def _how(self, options: TranscribeOptions, loaded: _Loaded, seconds: float) -> dict[str, Any]:
        """faster-whisper's arguments: none of its own voice detection, no second tries."""
        return {
            "language": self._language(options.language, loaded.languages),
            "task": "translate" if options.translate else "transcribe",
            "initial_prompt": options.prompt or None,
            "beam_size": self._options.beam_size,
            "temperature": [0.0],
            "condition_on_previous_text": False,
            "vad_filter": False,
            "word_timestamps": options.words,
            "without_timestamps": not options.words and seconds <= WHOLE_WINDOW_S,
            "max_new_tokens": min(MOST_TOKENS, FEWEST_TOKENS + round(TOKENS_PER_S * seconds)),
            # Whether an utterance was invented is decided on the whole of it.
            "no_speech_threshold": None,
            "log_prob_threshold": None,
            "compression_ratio_threshold": None,
        }

    def _language(self, wanted: str, known: frozenset[str]) -> str | None:
        """Its code; None lets the model find out."""
        code = wanted.partition("-")[0].lower()
        if code in ("", "auto"):
            return None
        if code not in known:
            is_english = len(known) == 1
            raise NotSupported(
                f"The model whisper:{self._options.model} knows "
                + ("only English." if is_english else f"no language {wanted!r}."),
                hint="Name a model without .en, such as small." if is_english else "",
            )
        return code


class _Job:
    """One utterance in a worker's thread. Given up, it ends with the window at hand."""

    def __init__(self, samples: np.ndarray[Any, Any], how: dict[str, Any]) -> None:
        self._samples = samples
        self._how = how
        self._is_stopped = threading.Event()

    def stop(self) -> None:
        self._is_stopped.set()

    def run(self, model: Any) -> list[Any]:
        found: list[Any] = []
        try:
            segments, _ = cast(
                "tuple[Iterable[Any], Any]", model.transcribe(self._samples, **self._how)
            )
            for segment in segments:
                found.append(segment)
                if self._is_stopped.is_set():
                    break
        except (RuntimeError, ValueError) as error:
            raise EngineFailed(f"Whisper broke off: {error}") from error
        return found


def _load(folder: Path, share: Share) -> _Loaded:
    library = cast(Any, importlib.import_module("faster_whisper"))
    try:
        model = library.WhisperModel(
            str(folder),
            device=share.device,
            device_index=share.device_index,
            compute_type=share.compute_type,
            cpu_threads=share.threads,
            num_workers=share.workers,
            local_files_only=True,
        )
    except Exception as error:  # tokenizers raises plain Exception
        raise load_failure(folder, error) from error
    executor = ThreadPoolExecutor(share.workers, thread_name_prefix="whisper")
    return _Loaded(model, executor, frozenset(cast(Sequence[str], model.supported_languages)))


def _part(segment: Any) -> TranscriptPart:
    words = tuple(
        Word(str(word.word).strip(), round(word.start * 1000), round(word.end * 1000))
        for word in segment.words or ()
    )
    start_ms, end_ms = round(segment.start * 1000), round(segment.end * 1000)
    return TranscriptPart(str(segment.text).strip(), True, start_ms, end_ms, words)


def _scores(segment: Any) -> Scores:
    return Scores(segment.no_speech_prob, segment.avg_logprob, segment.compression_ratio)


def _from_repo(repo: str) -> HubModel:
    return HubModel(repo, WANTED)


def _is_available(options: WhisperOptions) -> bool:
    return is_installed("faster_whisper") and Whisper(options).has_model


def _is_model(value: str) -> bool:
    """A size, or a repository whose name tells a conversion for faster-whisper."""
    name = value.lower()
    return value in KNOWN or ("/" in name and "whisper" in name and "faster" in name)


SPEC: EngineSpec[Whisper] = EngineSpec(
    kind="stt",
    name="whisper",
    abilities=frozenset({"words", "translate"}),
    options=WhisperOptions,
    open=Whisper,
    summary="Whisper in this process (faster-whisper), about 100 languages.",
    available=_is_available,
    environment={"model": "STT_MODEL", "data_dir": "PARLEY_DATA_DIR", "device": "PARLEY_DEVICE"},
    owns_model=_is_model,
    is_offline=True,
    recommended=RECOMMENDED,
)
