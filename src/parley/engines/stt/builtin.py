"""The built-in recogniser: PocketSphinx with the English model that its wheel carries.

It works offline on any machine. With a grammar (the scripted dialogue has one) it
understands most of the grammar's sentences and takes other speech for nothing; without one it
takes dictation, badly.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import AsyncGenerator, AsyncIterator

from pydantic import Field

from parley.core.audio import Audio, Resampler
from parley.core.errors import EngineUnavailable
from parley.engines.spec import (
    EngineOptions,
    EngineSpec,
    Status,
    TranscribeOptions,
    TranscriptPart,
)
from parley.engines.workers import Job, WorkerPool

RECOGNISER = "parley.engines.stt.sphinx:SphinxRecogniser"
RATE_HZ = 16_000
# 30 MB each, and 60 more once it takes dictation.
EARS_PER_WORKER = 2
MAX_WORKERS = 4


def default_workers() -> int:
    """Half of the cores, for the other half carries the calls."""
    return max(1, min(MAX_WORKERS, (os.cpu_count() or 1) // 2))


class BuiltinOptions(EngineOptions):
    """``workers``: how many processes recognise. ``use_grammar``: off, dictation only."""

    workers: int = Field(default_factory=default_workers, ge=1, le=64)
    use_grammar: bool = True


class BuiltinTranscriber:
    """Implements ``Transcriber`` over a pool of worker processes."""

    def __init__(self, options: BuiltinOptions) -> None:
        if importlib.util.find_spec("pocketsphinx") is None:
            raise EngineUnavailable(
                "PocketSphinx is not installed.", hint="Run scripts/serve, which installs it."
            )
        self._uses_grammar = options.use_grammar
        self._pool = WorkerPool(RECOGNISER, {"ears": EARS_PER_WORKER}, size=options.workers)
        self._is_warm = False

    async def warm_up(self) -> None:
        await self._pool.start()
        self._is_warm = True

    async def check(self) -> Status:
        if self._is_warm and not self._pool.is_healthy:
            return Status(False, "a recogniser process is starting again", "Wait a moment.")
        return Status(True, "PocketSphinx, en-US")

    @property
    def pids(self) -> list[int]:
        """The worker processes, for operators and tests."""
        return self._pool.pids

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        grammar = options.grammar if self._uses_grammar else ""
        job = await self._pool.open({"grammar": grammar})
        feeding = asyncio.create_task(_feed(job, audio))
        try:
            async for text, is_final in job.results():
                if is_final:
                    await feeding
                if text or is_final:
                    yield TranscriptPart(text, is_final)
            await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await job.close()

    async def close(self) -> None:
        await self._pool.close()


async def _feed(job: Job, audio: AsyncIterator[Audio]) -> None:
    try:
        await _send(job, audio)
    except Exception:
        # Sound can break in any way, and nobody else would end the wait for words.
        await job.finish()
        raise
    await job.finish()


async def _send(job: Job, audio: AsyncIterator[Audio]) -> None:
    resampler: Resampler | None = None
    async for piece in audio:
        if piece.rate_hz == RATE_HZ:
            await job.send(piece.pcm)
            continue
        if resampler is None or resampler.from_hz != piece.rate_hz:
            resampler = Resampler(piece.rate_hz, RATE_HZ)
        await job.send(resampler.push(piece.pcm))
    if resampler is not None:
        await job.send(resampler.flush())


SPEC = EngineSpec(
    kind="stt",
    name="builtin",
    options=BuiltinOptions,
    open=BuiltinTranscriber,
    summary="PocketSphinx, en-US",
    available=lambda options: True,
    environment={"workers": "PARLEY_STT_WORKERS"},
    is_offline=True,
)
