"""Measures what HTTP adds to the engines: speech and transcription, beside the bare functions.

The bare engine function and the same engine behind the routes take turns, in one run, so that
both see the same machine. First comes one request at a time: until the first sound, and until
the transcript. Then eight at once, for as long as was asked. The paced engines take time and no
processor, as one on a GPU does; eSpeak and PocketSphinx compete with the server for the cores.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from bench.figures import Figure, median, percentile, print_table, show
from bench.machine import describe
from bench.paced import PACED, PacedHearing, PacedSpeech
from bench.server import Server, python_module
from bench.speech import synthesize
from parley.core.audio import Audio
from parley.engines.fallback.timing import closing
from parley.engines.spec import SpeechOptions, Synthesizer, TranscribeOptions, Transcriber
from parley.engines.stt.builtin import SPEC as HEARS
from parley.engines.tts.builtin import SPEC as SPEAKS

SUMMARY = "what HTTP adds to speech and transcription, beside the bare engines"
TEXT = (
    "Good morning, and thank you for calling. Your table for four is booked for Thursday at "
    "half past seven, and the kitchen knows about the allergy that you told us of. "
    "If anything changes, please call us until noon."
)
SPOKEN = "Good morning, a table for two."
RATE_HZ = 16_000
BUILTIN = "builtin"
BOUNDARY = "bench"

Once = Callable[[], Awaitable[float]]
"""Do it once; how long it was in ms until what matters first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=60, help="one at a time, of each kind")
    parser.add_argument("--seconds", type=float, default=8.0, help="of requests at once, each")
    parser.add_argument("--clients", type=int, default=8, help="at once")


@dataclass(frozen=True)
class Pair:
    """One kind of work: the engine alone, and behind HTTP."""

    name: str
    bare: Once
    served: Once


async def measure(arguments: argparse.Namespace) -> dict[str, Figure]:
    speaks = SPEAKS.open(SPEAKS.options())
    hears = HEARS.open(HEARS.options())
    await speaks.warm_up()
    await hears.warm_up()
    try:
        pcm = await synthesize(SPOKEN, RATE_HZ)
        async with Server(python_module("bench.api_server")) as server:
            web = Web(server.port)
            pairs = [
                Pair("paced_speech", Speech(PacedSpeech()).once, web.speech("mp3", PACED)),
                Pair(
                    "paced_transcription",
                    Hearing(PacedHearing(), pcm).once,
                    web.transcription(pcm, PACED),
                ),
                Pair("espeak_pcm", Speech(speaks).once, web.speech("pcm", BUILTIN)),
                Pair("espeak_mp3", Speech(speaks).once, web.speech("mp3", BUILTIN)),
                Pair("sphinx", Hearing(hears, pcm).once, web.transcription(pcm, BUILTIN)),
            ]
            figures = await _measured(pairs, arguments)
            web.close()
    finally:
        await hears.close()
        await speaks.close()
    return figures


async def _measured(pairs: list[Pair], arguments: argparse.Namespace) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    rows: list[tuple[str, ...]] = []
    for pair in pairs:
        bare_ms, served_ms = await _in_turn(pair, arguments.requests)
        bare_rps = await _at_once(pair.bare, arguments.clients, arguments.seconds)
        served_rps = await _at_once(pair.served, arguments.clients, arguments.seconds)
        # Each request beside the bare one before it: the machine's moods cancel out.
        overhead_ms = median(s - b for s, b in zip(served_ms, bare_ms, strict=True))
        share = served_rps / bare_rps
        for name, value in (
            ("bare_first_p50_ms", median(bare_ms)),
            ("first_p50_ms", median(served_ms)),
            ("first_p95_ms", percentile(served_ms, 0.95)),
            ("overhead_p50_ms", overhead_ms),
            ("bare_requests_per_s", bare_rps),
            ("requests_per_s", served_rps),
            ("throughput_ratio", share),
        ):
            figures[f"{pair.name}_{name}"] = value
        rows.append(
            (
                pair.name,
                show(median(bare_ms), 1),
                show(median(served_ms), 1),
                show(overhead_ms, 1),
                show(bare_rps, 1),
                show(served_rps, 1),
                show(share * 100, 0, " %"),
            )
        )
    head = ("", "bare ms", "HTTP ms", "added ms", "bare/s", "HTTP/s", "of bare")
    print_table(f"api ({describe()}; {arguments.clients} clients at once)", head, rows)
    return figures


async def _in_turn(pair: Pair, requests: int) -> tuple[list[float], list[float]]:
    bare_ms: list[float] = []
    served_ms: list[float] = []
    for number in range(requests + 5):
        bare, served = await pair.bare(), await pair.served()
        # The first few warm both up.
        if number >= 5:
            bare_ms.append(bare)
            served_ms.append(served)
    return bare_ms, served_ms


async def _at_once(once: Once, clients: int, seconds: float) -> float:
    """Requests per second, from the first to the end of the last."""
    began_s = time.perf_counter()
    ends_s = began_s + seconds
    done = await asyncio.gather(*(_over_and_over(once, ends_s) for _ in range(clients)))
    return sum(done) / (time.perf_counter() - began_s)


async def _over_and_over(once: Once, ends_s: float) -> int:
    done = 0
    while time.perf_counter() < ends_s:
        await once()
        done += 1
    return done


class Speech:
    """The synthesizer's plain function."""

    def __init__(self, engine: Synthesizer) -> None:
        self._engine = engine

    async def once(self) -> float:
        began_s = time.perf_counter()
        first_ms = 0.0
        async with closing(self._engine.synthesize(TEXT, SpeechOptions())) as sounds:
            async for _ in sounds:
                first_ms = first_ms or (time.perf_counter() - began_s) * 1000
        return first_ms


class Hearing:
    """The recogniser's plain function."""

    def __init__(self, engine: Transcriber, pcm: bytes) -> None:
        self._engine = engine
        self._pcm = pcm

    async def once(self) -> float:
        began_s = time.perf_counter()
        heard = self._engine.transcribe(self._sound(), TranscribeOptions())
        async with closing(heard) as parts:
            async for _ in parts:
                pass
        return (time.perf_counter() - began_s) * 1000

    async def _sound(self) -> AsyncIterator[Audio]:
        size = RATE_HZ * 2
        for at in range(0, len(self._pcm), size):
            yield Audio(self._pcm[at : at + size], RATE_HZ)


class Web:
    """A client that costs next to nothing: HTTP/1.1 over a connection for each request at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    def speech(self, response_format: str, model: str) -> Once:
        body = {"model": model, "input": TEXT, "response_format": response_format}
        head = {"content-type": "application/json"}
        return Exchange(self, "/v1/audio/speech", head, json.dumps(body).encode()).first_byte

    def transcription(self, pcm: bytes, model: str) -> Once:
        part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
        body = f'{part}"model"\r\n\r\n{model}\r\n{part}"file"; filename="upload"\r\n\r\n'
        form = body.encode() + _wav(pcm) + f"\r\n--{BOUNDARY}--\r\n".encode()
        head = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        return Exchange(self, "/v1/audio/transcriptions", head, form).whole

    async def connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._idle:
            return self._idle.pop()
        return await asyncio.open_connection("127.0.0.1", self._port)

    def give_back(self, link: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self._idle.append(link)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


class Exchange:
    """One request that is made over and over."""

    def __init__(self, web: Web, path: str, head: Mapping[str, str], body: bytes) -> None:
        lines = [f"POST {path} HTTP/1.1", "host: bench", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in head.items()]
        self._request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        self._web = web

    async def first_byte(self) -> float:
        """Until the first byte of the body, in ms; the rest is read as well."""
        return (await self._exchange())[0]

    async def whole(self) -> float:
        return (await self._exchange())[1]

    async def _exchange(self) -> tuple[float, float]:
        link = await self._web.connection()
        reader, writer = link
        began_s = time.perf_counter()
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head:
            raise RuntimeError(head.decode())
        first_ms = 0.0
        if b"content-length: " in head:
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        else:
            while size := int(await reader.readline(), 16):
                first_ms = first_ms or (time.perf_counter() - began_s) * 1000
                await reader.readexactly(size + 2)
            await reader.readline()
        self._web.give_back(link)
        whole_ms = (time.perf_counter() - began_s) * 1000
        return first_ms or whole_ms, whole_ms


def _wav(pcm: bytes) -> bytes:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(pcm)
    return sound.getvalue()
