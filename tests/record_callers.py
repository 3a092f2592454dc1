"""Record the sentences of tests/audio/callers: `python -m tests.record_callers ["a sentence" …]`.

eSpeak NG never speaks a sentence twice alike, and some utterance in a few hundred is one that
PocketSphinx mishears: a test that lets it speak afresh fails now and then for no reason of
Parley's. So a caller's sentences are recorded: of many takes, the one that is understood in the
most circumstances (how much silence comes before it, how loud it is, through which codec).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np

from parley.core.audio import Resampler
from parley.engines.llm.scripted.chatter import SPEC as SCRIPTED
from parley.engines.stt.sphinx import SphinxRecogniser
from tests.caller_voice import CALLER_HZ, CALLERS, CallerVoice, recording_of

SENTENCES = (
    "book an appointment",
    "book an appointment tomorrow at ten",
    "can i book an appointment",
    "half past ten",
    "my name is anna",
    "no",
    "thank you goodbye",
    "tuesday",
    "what are your opening hours",
    "what time is it",
    "where are you",
    "where are you located",
    "yes",
)
TAKES = 24
PIECE_BYTES = CALLER_HZ // 50 * 2
QUIET_SAMPLES = CALLER_HZ // 4


def through(codec_name: str, rate_hz: int, pcm: bytes) -> bytes:
    """The sound as it comes out of a codec of the telephone or the browser."""
    coder = cast(Any, av.CodecContext.create(codec_name, "w"))
    coder.format, coder.layout, coder.sample_rate = "s16", "mono", rate_hz
    coder.time_base = Fraction(1, rate_hz)
    decoder = cast(Any, av.CodecContext.create(codec_name, "r"))
    decoder.sample_rate, decoder.layout = rate_hz, "mono"
    up, down = Resampler(CALLER_HZ, rate_hz), None
    sound = np.frombuffer(up.push(pcm) + up.flush(), np.int16)
    heard = bytearray()
    step = rate_hz // 50
    packets: list[Any] = []
    for at in range(0, len(sound) - step + 1, step):
        frame = av.AudioFrame.from_ndarray(sound[None, at : at + step], "s16", "mono")
        frame.sample_rate, frame.pts = rate_hz, at
        packets += coder.encode(frame)
    for frame in (frame for packet in packets for frame in decoder.decode(packet)):
        down = down or Resampler(frame.sample_rate, CALLER_HZ)
        samples = frame.to_ndarray().reshape(-1)
        if samples.dtype != np.int16:
            samples = np.clip(samples * 32767, -32768, 32767).astype(np.int16)
        heard += down.push(samples.tobytes())
    return bytes(heard + (down.flush() if down else b""))


def circumstances(pcm: bytes) -> Iterator[bytes]:
    """One take as recognisers may get it."""
    samples = np.frombuffer(pcm, np.int16)
    for before_samples in (0, 97, 1600, 4847, 6400):
        for loudness in (0.5, 1.0):
            said = np.concatenate(
                [
                    np.zeros(before_samples, np.int16),
                    (samples * loudness).astype(np.int16),
                    np.zeros(QUIET_SAMPLES, np.int16),
                ]
            )
            yield said.tobytes()
    padded = bytes(QUIET_SAMPLES * 2) + pcm + bytes(QUIET_SAMPLES * 2)
    yield through("libopus", 48_000, padded)
    yield through("g722", CALLER_HZ, padded)
    yield through("pcm_mulaw", 8_000, padded)


def understood(recogniser: SphinxRecogniser, grammar: str, pcm: bytes) -> str:
    utterance = recogniser.open({"grammar": grammar})
    for at in range(0, len(pcm), PIECE_BYTES):
        utterance.take(pcm[at : at + PIECE_BYTES])
    text = utterance.finish()
    utterance.close()
    return text


async def record(text: str, recogniser: SphinxRecogniser, grammar: str) -> None:
    best, best_pcm = -1, b""
    for _ in range(TAKES):
        pcm = await CallerVoice().speak(text)
        heard = [understood(recogniser, grammar, sound) for sound in circumstances(pcm)]
        right = sum(sentence == text for sentence in heard)
        if right > best:
            best, best_pcm, misheard = right, pcm, sorted({*heard} - {text})
    print(f"{text}: {best} of {len(heard)} understood; else {misheard}", flush=True)
    write_flac(text, best_pcm)


def write_flac(text: str, pcm: bytes) -> None:
    path = recording_of(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="flac") as file:
        stream = cast(Any, file.add_stream("flac", rate=CALLER_HZ, layout="mono"))
        samples = np.frombuffer(pcm, np.int16)[None, :]
        frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
        frame.sample_rate, frame.pts = CALLER_HZ, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)


async def main(sentences: list[str]) -> None:
    grammar = SCRIPTED.open(SCRIPTED.options(script="receptionist")).grammar()
    recogniser = SphinxRecogniser({"ears": 1})
    CALLERS.mkdir(parents=True, exist_ok=True)
    for text in sentences or SENTENCES:
        await record(text, recogniser, grammar)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
