"""Piper's HTTP server in three ages, and what may go wrong with it."""

from __future__ import annotations

import asyncio
import struct
from typing import Literal

from tests.engines.servers.http import HttpReply, HttpRequest, HttpServer

Age = Literal["1.8", "1.3", "1.2"]
Fault = Literal["", "500", "hang", "cut", "not_wav", "eight_bits", "empty", "stereo"]
RATE_HZ = 22_050
MS_PER_LETTER = 10
LOUD = b"\x10\x27"
VOICES = {
    "en_US-lessac-medium": {"language": {"code": "en_US"}, "espeak": {"voice": "en-us"}},
    "de_DE-thorsten-low": {"espeak": {"voice": "de"}},
}


class PiperHttpServer(HttpServer):
    """1.8 speaks at ``/synthesize``; 1.3 at ``/`` with JSON; 1.2 at ``/`` with the bare text.

    ``texts`` are those that were spoken. With ``waits`` the second half of the sound waits for
    ``go_on``.
    """

    def __init__(self, age: Age = "1.8", *, waits: bool = False, fault: Fault = "") -> None:
        super().__init__()
        self.age = age
        self.waits = waits
        self.fault = fault
        self.go_on = asyncio.Event()
        self.requests: list[HttpRequest] = []
        self.texts: list[str] = []

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]

    async def answer(self, request: HttpRequest, reply: HttpReply) -> None:
        self.requests.append(request)
        route = f"{request.method} {request.path}"
        speaks_at = "POST /synthesize" if self.age == "1.8" else "POST /"
        if route == "GET /voices" and self.age != "1.2":
            await reply.json(VOICES)
        elif route == speaks_at:
            await self._speak(request, reply)
        elif route == "POST /":
            await reply.bytes(b"not so", 405)
        else:
            await reply.bytes(b"not here", 404)

    async def _speak(self, request: HttpRequest, reply: HttpReply) -> None:
        asked = {} if self.age == "1.2" else request.json()
        text = request.body.decode() if self.age == "1.2" else asked["text"]
        if self.fault == "500" or not text:
            await reply.bytes(b"<h1>Internal Server Error</h1>", 500)
            return
        self.texts.append(text)
        samples = int(len(text) * MS_PER_LETTER * RATE_HZ / 1000 * asked.get("length_scale", 1))
        wav = wav_file(LOUD * samples, self.fault)
        await reply.start(200, {"Content-Type": "audio/wav"})
        half = len(wav) // 2 | 1
        await reply.piece(wav[:half])
        if self.fault == "hang":
            await asyncio.Event().wait()
        if self.fault == "cut":
            reply.cut()
            return
        if self.waits:
            await self.go_on.wait()
        if wav[half:]:
            await reply.piece(wav[half:])
        await reply.end()


def wav_file(pcm: bytes, fault: str = "") -> bytes:
    """A WAV file with a label before and one behind the sound."""
    if fault == "not_wav":
        return b"<html>" + pcm
    if fault == "empty":
        return b"RIFF\0\0\0\0WA"
    bits = 8 if fault == "eight_bits" else 16
    channels = 2 if fault == "stereo" else 1
    if channels == 2:
        pcm = pcm * 2
    form = struct.pack("<HHIIHH", 1, channels, RATE_HZ, RATE_HZ * 2, 2, bits)
    label = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    body = b"WAVE" + b"fmt " + struct.pack("<I", 16) + form + label
    body += b"data" + struct.pack("<I", len(pcm)) + pcm + label
    return b"RIFF" + struct.pack("<I", len(body)) + body
