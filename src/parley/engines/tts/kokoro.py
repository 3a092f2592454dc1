"""Kokoro in this process: natural speech in seven languages from a small ONNX model.

Model and voices are Apache-2.0. The phonemes come from eSpeak NG, which is GPL-3.0-or-later: that
is why this engine is an extra like eSpeak itself. A text is spoken clause by clause: the first
one alone, so that sound comes soon; while one is heard, the next is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from pydantic import Field

from parley.core.audio import Audio
from parley.core.errors import NotFound
from parley.core.log import get_logger
from parley.core.registry import did_you_mean
from parley.engines.local import MODELS, LocalEngine, LocalModelOptions
from parley.engines.model_files import ModelFiles
from parley.engines.remote.hub import HubModel
from parley.engines.resources import Demand, Share
from parley.engines.spec import EngineSpec, SpeechOptions, Voice
from parley.engines.tts.clauses import Clause, blank_unspeakable, clauses_of
from parley.engines.tts.espeak_files import is_installed
from parley.engines.tts.espeak_thread import EspeakThread
from parley.engines.tts.kokoro_model import RATE_HZ, KokoroModel, Samples, load_styles
from parley.engines.tts.kokoro_phonemes import TIE, phonemes_of, tokens_of
from parley.engines.tts.kokoro_voices import (
    FIRST_VOICES,
    LANGUAGES,
    is_voice,
    speaks,
    title_of,
    voice_for,
)
from parley.engines.tts.pieces import QUIETEST_SOUND, Border, ClauseCutter
from parley.engines.tts.volume import at_volume
from parley.engines.tts.words import WordRow

log = get_logger(__name__)

REPO = "onnx-community/Kokoro-82M-v1.0-ONNX"
KNOWN = {
    "v1.0": HubModel(REPO, ("onnx/model.onnx", "voices/*.bin"), 354_000_000),
    "v1.0-q8": HubModel(REPO, ("onnx/model_quantized.onnx", "voices/*.bin"), 121_000_000),
}
NEEDS = ("**/*.onnx", "**/*.bin")
RECOMMENDED = "v1.0"
LONGEST_RUN = 220
"""Characters that are spoken in one go, when they are not the first of a text."""
SLOWEST, FASTEST = 0.5, 2.0
GPU_EXTRA_MB = 600


class KokoroOptions(LocalModelOptions):
    """What an agent or a setting can say of Kokoro's voice."""

    model: str = Field(
        RECOMMENDED, description=f"{' or '.join(KNOWN)}, or a folder with the model and voices."
    )
    voice: str = Field("", description="A voice's id, such as af_heart.")
    language: str = Field("", description="Takes this language's voice where none is named.")
    speed: float = Field(1.0, ge=SLOWEST, le=FASTEST, description="1 is the voice's own.")


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: KokoroModel
    executor: ThreadPoolExecutor
    espeak: EspeakThread


@dataclass(frozen=True, slots=True)
class _Run:
    """Clauses that are spoken in one go: where they begin and end in the text."""

    start: int
    end: int
    spoken: str
    pause_ms: int


class Kokoro(LocalEngine[_Loaded]):
    """Implements ``Synthesizer``, ``ModelKeeper`` and ``UsesResources``.

    ``Audio.words`` is an estimate inside a clause, and exact where one ends.
    """

    def __init__(self, options: KokoroOptions) -> None:
        files = ModelFiles("kokoro", options.data_dir / MODELS / "kokoro", KNOWN, NEEDS)
        super().__init__(options, files, "espeakng_loader", "kokoro")
        self._options = options

    @property
    def max_concurrent(self) -> int:
        """How many requests it serves at a time; the others wait in the queue before it."""
        return self._places()

    def demand(self) -> Demand:
        can_use_gpu = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        gpu_mb = self._model_mb() + GPU_EXTRA_MB if can_use_gpu else 0
        return Demand("kokoro", 2, self._options, gpu_mb, threads_per_worker=4, most_workers=2)

    async def warm_up(self) -> None:
        async for _ in self.synthesize("Ready.", SpeechOptions()):
            pass

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        """The text as sound at 24 kHz, in pieces of about 40 ms.

        Nothing to pronounce, no audio. Raises ``NotFound`` for a voice or language that isn't
        there, ``EngineUnavailable`` and ``ModelMissing`` when the model can't be loaded.
        """
        loaded = await self._load()
        voice = self._voice(options, loaded.model)
        speed = min(max(self._options.speed * options.speed, SLOWEST), FASTEST)
        row = WordRow(text)
        runs = _runs(row.text, LANGUAGES[voice[0]])
        said = 0
        making: asyncio.Task[Samples] | None = None
        try:
            for number, run in enumerate(runs):
                making = making or asyncio.create_task(self._make(loaded, run, voice, speed))
                sound = await making
                making = None
                if number + 1 < len(runs):
                    following = self._make(loaded, runs[number + 1], voice, speed)
                    making = asyncio.create_task(following)
                for samples, spoken_to in _cut(sound, run, row, is_first=number == 0):
                    done = max(said, row.done_at(spoken_to))
                    pcm = at_volume(samples, max(options.volume, 0.0)).tobytes()
                    yield Audio(pcm, RATE_HZ, row.between(said, done))
                    said = done
        finally:
            if making is not None:
                making.cancel()
                await asyncio.gather(making, return_exceptions=True)

    def voices(self) -> Sequence[Voice]:
        """Those that are on this machine and whose language can be spoken."""
        if self._loaded is not None:
            names = list(self._loaded.model.styles)
        elif self.has_model:
            names = list(load_styles(self._files.path(self._options.model)))
        else:
            names = list(FIRST_VOICES.values())
        return [Voice(name, title_of(name), LANGUAGES[name[0]]) for name in names if is_voice(name)]

    def _open(self, folder: Path, share: Share) -> _Loaded:
        model = KokoroModel(folder, share)
        executor = ThreadPoolExecutor(share.workers, thread_name_prefix="kokoro")
        return _Loaded(model, executor, EspeakThread.share())

    def _shut(self, loaded: _Loaded) -> None:
        loaded.executor.shutdown(wait=True, cancel_futures=True)
        loaded.espeak.release()

    async def _make(self, loaded: _Loaded, run: _Run, voice: str, speed: float) -> Samples:
        language = LANGUAGES[voice[0]]
        speaker = loaded.espeak.voices.find(language, "", language).identifier
        say = partial(loaded.espeak.phonemes, identifier=speaker, tie=TIE)
        phonemes = await phonemes_of(run.spoken, language, say)
        loop = asyncio.get_running_loop()
        made = [
            await loop.run_in_executor(loaded.executor, loaded.model.speak, tokens, voice, speed)
            for tokens in tokens_of(phonemes)
        ]
        return np.concatenate(made) if made else np.zeros(0, np.int16)

    def _voice(self, options: SpeechOptions, model: KokoroModel) -> str:
        """The voice that is asked for, or else one of the language that is."""
        name = options.voice or self._options.voice
        language = options.language or self._options.language
        if not name:
            name = voice_for(language or "en-us")
        elif not options.voice and options.language and not speaks(name, options.language):
            name = voice_for(options.language)
        if name in model.styles and is_voice(name):
            return name
        known = [each for each in model.styles if is_voice(each)]
        raise NotFound(
            f"Kokoro has no voice {name!r}.", hint=did_you_mean(name, known), param="voice"
        )


def _runs(text: str, language: str) -> list[_Run]:
    """The first clause alone; then as many clauses as make a sentence, or a good length."""
    clauses = clauses_of(text, language)
    spoken = blank_unspeakable(text, language)
    runs: list[_Run] = []
    waiting: list[Clause] = []
    start = 0
    for clause in clauses:
        waiting.append(clause)
        end_of_sentence = clause.spoken.rstrip('"”’)]')[-1:] in ".!?…。！？"
        if (
            not runs
            or end_of_sentence
            or clause.end - start >= LONGEST_RUN
            or clause is clauses[-1]
        ):
            run = " ".join(spoken[waiting[0].spoken_at : clause.end].split())
            runs.append(_Run(start, clause.end, run, clause.pause_ms))
            waiting, start = [], clause.end
    return runs


def _cut(sound: Samples, run: _Run, row: WordRow, *, is_first: bool) -> list[tuple[Samples, int]]:
    """The run's sound in pieces, each with the position in the text that it reaches."""
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > QUIETEST_SOUND)
    first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, 0)
    # How long a word lasts is taken from its place in the text.
    borders = [
        Border(first + (last - first) * (at - run.start) // (run.end - run.start), at)
        for at in row.starts
        if run.start < at < run.end
    ]
    cutter = ClauseCutter(RATE_HZ, run.start, trims_start=is_first)
    pieces = [*cutter.push(sound, borders), *cutter.finish(run.end, RATE_HZ * run.pause_ms // 1000)]
    return [(piece.samples, piece.spoken_to) for piece in pieces]


def _is_available(options: KokoroOptions) -> bool:
    return is_installed() and Kokoro(options).has_model


SPEC: EngineSpec[Kokoro] = EngineSpec(
    kind="tts",
    name="kokoro",
    options=KokoroOptions,
    open=Kokoro,
    summary="Kokoro in this process: natural speech in seven languages.",
    available=_is_available,
    environment={
        "model": "TTS_MODEL",
        "voice": "TTS_VOICE",
        "data_dir": "PARLEY_DATA_DIR",
        "device": "PARLEY_DEVICE",
    },
    owns_model=lambda value: value in KNOWN,
    owns_voice=is_voice,
    is_offline=True,
    recommended=RECOMMENDED,
)
