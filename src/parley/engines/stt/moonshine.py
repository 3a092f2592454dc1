"""Moonshine in this process: recognises while the caller speaks, so that little is left to do.

Moonshine's code and its English models are MIT; its models of other languages are under the
Moonshine Community License, which forbids commercial use. The library computes outside the
interpreter's lock, in one thread per worker.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import Field

from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import BadAudio, EngineFailed, EngineUnavailable, NotSupported
from parley.core.log import get_logger
from parley.engines.local import (
    MODELS,
    LocalEngine,
    LocalModelOptions,
    is_installed,
)
from parley.engines.model_files import ModelFiles
from parley.engines.remote.sound import pcm_at
from parley.engines.resources import Demand, Share
from parley.engines.spec import EngineSpec, TranscribeOptions, TranscriptPart
from parley.engines.stt.moonshine_models import KNOWN, RECOMMENDED, architecture_of
from parley.engines.stt.silence import is_nearly_silent

log = get_logger(__name__)

RATE_HZ = 16_000
PIECE_MS = 100
NEEDS = ("*.ort", "tokenizer.bin")


class MoonshineOptions(LocalModelOptions):
    """``model`` is like small-streaming-en, or a folder whose name begins so."""

    model: str = Field(RECOMMENDED, description="Size and language, such as tiny-streaming-de.")
    update_ms: int = Field(500, ge=100, le=5000, description="How often partial texts come.")
    longest_s: float = Field(120.0, gt=0, le=3600, description="The longest utterance.")


LoadTranscriber = Callable[[Path, int, dict[str, str]], Any]


@dataclass(eq=False)
class _Worker:
    """A transcriber of the library and the one thread that calls it."""

    transcriber: Any
    executor: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="moonshine")
    )
    utterances: int = 0

    async def call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, work, *arguments)


class Moonshine(LocalEngine[list[_Worker]]):
    """Implements ``Transcriber``, ``ModelKeeper`` and ``UsesResources``.

    ``load`` opens the library's transcriber for a folder, an architecture and options.
    """

    def __init__(self, options: MoonshineOptions, load: LoadTranscriber | None = None) -> None:
        files = ModelFiles("moonshine", options.data_dir / MODELS / "moonshine", KNOWN, NEEDS)
        super().__init__(options, files, "moonshine_voice", "moonshine")
        self._options = options
        self._load_transcriber = load or _load_transcriber
        self._architecture, self._language = architecture_of(options.model)

    def demand(self) -> Demand:
        # The library takes either one thread or all cores for a model.
        options = self._options.model_copy(update={"threads": self._options.threads or 1})
        return Demand("moonshine", 2, options)

    async def warm_up(self) -> None:
        async for _ in self.transcribe(_quiet_noise(), TranscribeOptions(language="")):
            pass

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        """Partial texts while the speaker speaks, then a final one, empty when nobody spoke."""
        self._require_language(options.language)
        workers = await self._load()
        worker = min(workers, key=lambda each: each.utterances)
        worker.utterances += 1
        utterance = _Utterance(worker, self._options.update_ms / 1000)
        heard = bytearray()
        said = ""
        try:
            async for pcm in _pieces(audio):
                heard += pcm
                self._require_short(heard)
                await worker.call(utterance.add, pcm)
                if utterance.text != said:
                    said = utterance.text
                    yield TranscriptPart(said, False)
            await worker.call(utterance.finish)
            text = "" if is_nearly_silent(bytes(heard), RATE_HZ) else utterance.text
            end_ms = len(heard) * 1000 // pcm_bytes(1000, RATE_HZ)
            yield TranscriptPart(text, True, utterance.start_ms, end_ms)
        finally:
            worker.utterances -= 1
            # In the worker's own thread, after whatever it is doing there; nobody waits for it.
            worker.executor.submit(utterance.close)

    def _open(self, folder: Path, share: Share) -> list[_Worker]:
        options = {
            # Where speech begins and ends is known already.
            "vad_threshold": "0",
            "return_audio_data": "false",
        }
        if share.threads == 1:
            os.putenv("MOONSHINE_ORT_SINGLE_THREAD", "1")
        load, architecture = self._load_transcriber, self._architecture
        return [_Worker(load(folder, architecture, options)) for _ in range(share.workers)]

    def _shut(self, loaded: list[_Worker]) -> None:
        for worker in loaded:
            worker.executor.submit(worker.transcriber.close)
            worker.executor.shutdown()

    def _require_language(self, wanted: str) -> None:
        code = wanted.partition("-")[0].lower()
        if code in ("", "auto", self._language) or not self._language:
            return
        models = [name for name, model in KNOWN.items() if model.language == code]
        raise NotSupported(
            f"The model moonshine:{self._options.model} knows only {self._language!r}.",
            hint=f"Name {' or '.join(models)}." if models else "Moonshine has no model for it.",
        )

    def _require_short(self, heard: bytearray) -> None:
        if len(heard) > pcm_bytes(self._options.longest_s * 1000, RATE_HZ):
            raise BadAudio(
                f"The sound is longer than {self._options.longest_s:g} s.",
                hint="Send it in shorter parts, or raise the engine's longest_s.",
            )


class _Utterance:
    """One stream of the library. All methods run in the worker's thread."""

    def __init__(self, worker: _Worker, update_s: float) -> None:
        self._worker = worker
        self._update_s = update_s
        self._stream: Any = None
        self._lines: dict[int, tuple[float, str]] = {}
        self._failure: Exception | None = None

    @property
    def text(self) -> str:
        """What has been understood so far."""
        lines = list(self._lines.values())
        return " ".join(text for _, text in lines if text)

    @property
    def start_ms(self) -> int:
        starts = [start for start, _ in self._lines.values()]
        return round(min(starts, default=0.0) * 1000)

    def add(self, pcm: bytes) -> None:
        if self._stream is None:
            self._stream = self._worker.transcriber.create_stream(self._update_s)
            self._stream.add_listener(self._on_event)
            self._told(self._stream.start)
        samples = (np.frombuffer(pcm, np.int16).astype(np.float32) / 32768).tolist()
        self._told(self._stream.add_audio, samples, RATE_HZ)

    def finish(self) -> None:
        if self._stream is not None:
            self._told(self._stream.stop)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _told(self, work: Callable[..., Any], *arguments: Any) -> None:
        """The library tells some failures by raising, others to its listeners."""
        try:
            work(*arguments)
        except Exception as error:  # MoonshineError is a plain Exception
            self._failure = error
        if self._failure is not None:
            raise EngineFailed(f"Moonshine broke off: {self._failure}") from self._failure

    def _on_event(self, event: Any) -> None:
        if event.line is not None:
            self._lines[event.line.line_id] = (event.line.start_time, event.line.text.strip())
        self._failure = getattr(event, "error", None) or self._failure


async def _pieces(audio: AsyncIterator[Audio]) -> AsyncGenerator[bytes]:
    """The sound in pieces that are worth a hop to another thread."""
    size = pcm_bytes(PIECE_MS, RATE_HZ)
    waiting = bytearray()
    async for pcm in pcm_at(RATE_HZ, audio):
        waiting += pcm
        if len(waiting) >= size:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


async def _quiet_noise() -> AsyncIterator[Audio]:
    noise = np.random.default_rng(1).normal(0, 300, RATE_HZ).astype(np.int16)
    yield Audio(noise.tobytes(), RATE_HZ)


def _load_transcriber(folder: Path, architecture: int, options: dict[str, str]) -> Any:
    library = cast(Any, importlib.import_module("moonshine_voice"))
    try:
        return library.Transcriber(folder, library.ModelArch(architecture), options=options)
    except Exception as error:  # MoonshineError is a plain Exception
        raise EngineUnavailable(
            f"The model in {folder} can't be loaded: {error}",
            hint="Remove the model and pull it again.",
        ) from error


def _is_available(options: MoonshineOptions) -> bool:
    return is_installed("moonshine_voice") and Moonshine(options).has_model


SPEC: EngineSpec[Moonshine] = EngineSpec(
    kind="stt",
    name="moonshine",
    options=MoonshineOptions,
    open=Moonshine,
    summary="Moonshine in this process: streaming, ten languages.",
    available=_is_available,
    environment={"model": "STT_MODEL", "data_dir": "PARLEY_DATA_DIR"},
    owns_model=lambda value: value in KNOWN,
    is_offline=True,
)
