"""One request to an engine, timed as a caller feels it: to the first part of the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np

from bench.bare import Tap
from bench.server import ServerFailed
from parley.core.audio import Audio
from parley.engines.spec import (
    ChatOptions,
    Kind,
    Message,
    SpeechOptions,
    ToolSchema,
    TranscribeOptions,
)

RATE_HZ = 16_000
PIECE_MS = 20
PIECES = 30
PIECE_PAUSE_S = 0.001
SENT_PAUSE_S = 0.01
TEXT = "We are open from nine to five."

MESSAGES: list[Message] = [
    {"role": "system", "content": "You are the receptionist of a practice. Be brief. " * 40},
    *(
        {"role": ("user", "assistant")[turn % 2], "content": "A sentence of usual length. " * 3}
        for turn in range(21)
    ),
]
TOOLS = [
    ToolSchema(
        f"tool_{number}",
        "Does one thing of several.",
        {"type": "object", "properties": {"day": {"type": "string"}}},
    )
    for number in range(6)
]


async def first_part_ms(kind: Kind, engine: Any, tap: Tap | None = None) -> float:
    """From the request, or the speaker's last sound, to the first part of the answer."""
    if kind == "stt":
        return await _hearing_ms(engine, tap)
    started_s = time.perf_counter()
    if kind == "llm":
        answer = engine.chat(MESSAGES, TOOLS, ChatOptions(conversation="bench"))
    else:
        answer = engine.synthesize(TEXT, SpeechOptions())
    took_ms = 0.0
    async for part in answer:
        if not took_ms and (part.text if kind == "llm" else part.pcm):
            took_ms = (time.perf_counter() - started_s) * 1000
    if not took_ms:
        raise ServerFailed(f"The {kind} engine's answer was empty.")
    return took_ms


async def _hearing_ms(engine: Any, tap: Tap | None) -> float:
    speaker = _Speaker(tap)
    took_ms = 0.0
    async for part in engine.transcribe(speaker.sound(), TranscribeOptions()):
        if part.final and part.text and not took_ms:
            took_ms = (time.perf_counter() - speaker.stopped_s) * 1000
    if not took_ms:
        raise ServerFailed("The stt engine's answer was empty.")
    return took_ms


class _Speaker:
    """Syllables, faster than anybody speaks; all of it is on its way when the speaker stops."""

    def __init__(self, tap: Tap | None) -> None:
        self._tap = tap
        self.stopped_s = 0.0

    async def sound(self) -> AsyncGenerator[Audio]:
        times = np.arange(RATE_HZ * PIECE_MS * PIECES // 1000) / RATE_HZ
        loud = 6000 * np.maximum(np.sin(2 * np.pi * 4 * times), 0)
        samples = (loud * np.sin(2 * np.pi * 300 * times)).astype(np.int16)
        for piece in np.split(samples, PIECES):
            yield Audio(piece.tobytes(), RATE_HZ)
            await asyncio.sleep(PIECE_PAUSE_S)
        await asyncio.sleep(SENT_PAUSE_S)
        if self._tap is not None:
            self._tap.mark_late()
        self.stopped_s = time.perf_counter()
