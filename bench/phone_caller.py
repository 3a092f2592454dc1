"""A caller with a telephone: SIP to be let in, RTP to speak, and a stamp on every packet heard."""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import struct
import time
from array import array
from collections import deque

import numpy as np

from bench.caller import CallFailed
from bench.heard import Heard
from bench.relay import Relay
from bench.speech import AUDIBLE, PACKET_MS, ROOM_NOISE, Utterance
from bench.speech import RATE_HZ as SPEECH_HZ
from parley.core.audio import Resampler
from parley.core.g711 import from_ulaw, to_ulaw

HOST = "127.0.0.1"
RATE_HZ = 8000
PACKET_SAMPLES = RATE_HZ * PACKET_MS // 1000
PACKET_BYTES = PACKET_SAMPLES * 2
# A telephone's number reaches the default agent.
NUMBER = "100"
ANSWER_LIMIT_S = 10.0
_HEADER = struct.Struct("!BBHLL")
_TO = re.compile(r"^To:.*?tag=([^\s;>]+)", re.MULTILINE | re.IGNORECASE)
_MEDIA = re.compile(r"^m=audio (\d+)", re.MULTILINE)


class WireEar(Heard):
    """Knows when the first audible sample of each packet was there: arrival plus place in it."""

    def __init__(self) -> None:
        super().__init__()
        self.packets = 0

    def hear(self, data: bytes, now_s: float) -> None:
        if len(data) <= _HEADER.size or data[1] & 0x7F:
            return
        self.packets += 1
        samples = np.frombuffer(from_ulaw(data[_HEADER.size :]), np.int16)
        audible = np.flatnonzero(np.abs(samples) >= AUDIBLE * 32768)
        if len(audible):
            self.heard(now_s + float(audible[0]) / RATE_HZ)


class _Sound(asyncio.DatagramProtocol):
    def __init__(self, ear: WireEar) -> None:
        self._ear = ear

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._ear.hear(data, time.monotonic())


class _Signal(asyncio.DatagramProtocol):
    """Answers the server's own requests, and keeps its answers."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
        self.is_over = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode(errors="replace")
        if text.startswith("SIP/2.0"):
            self.answers.put_nowait((time.monotonic(), text))
            return
        wanted = ("via:", "from:", "to:", "call-id:", "cseq:")
        lines = [line for line in text.split("\r\n") if line.lower().startswith(wanted)]
        assert self._transport is not None
        self._transport.sendto(_text("SIP/2.0 200 OK", *lines).encode(), addr)
        if text.startswith("BYE"):
            self.is_over.set()


class PhoneCaller:
    """One call by UDP; entering the context calls, leaving hangs up.

    ``dialled_s`` is when the INVITE left and ``answered_s`` when its 200 was there. Without
    ``talks`` it sends no sound. A ``relay`` takes the sound both ways.
    """

    def __init__(self, sip_port: int, *, talks: bool = True, relay: Relay | None = None) -> None:
        self.ear = WireEar()
        self.dialled_s = self.answered_s = 0.0
        self.late_ms = array("d")
        self._server = HOST, sip_port
        self._talks = talks
        self._relay = relay
        self._signal = _Signal()
        self._tag, self._call_id = secrets.token_hex(4), secrets.token_hex(8)
        self._far_tag = ""
        self._wires: list[asyncio.DatagramTransport] = []
        self._waiting: deque[tuple[bytes, asyncio.Future[float] | None]] = deque()
        self._room = np.random.default_rng(1)
        self._speaking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> PhoneCaller:
        loop = asyncio.get_running_loop()
        for protocol in (self._signal, _Sound(self.ear)):
            wire, _ = await loop.create_datagram_endpoint(
                lambda protocol=protocol: protocol, (HOST, 0)
            )
            self._wires.append(wire)
        try:
            far_port = await self._dial()
        except BaseException:
            self._close()
            raise
        if self._talks:
            self._speaking = asyncio.create_task(self._speak(far_port))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)
        if not self._signal.is_over.is_set():
            self._say("BYE", 2)
            await self._answer("BYE")
        self._close()

    def _close(self) -> None:
        for wire in self._wires:
            wire.close()

    # ── signalling ───────────────────────────────────────────────────────────────────────

    async def _dial(self) -> int:
        sound_port = self._wires[1].get_extra_info("sockname")[1]
        told_port = self._relay.far_port if self._relay else sound_port
        self.dialled_s = time.monotonic()
        self._say("INVITE", 1, _description(told_port))
        self.answered_s, answer = await self._answer("INVITE")
        found, media = _TO.search(answer), _MEDIA.search(answer)
        if found is None or media is None:
            raise CallFailed(f"The call was not answered: {answer.splitlines()[0]}.")
        self._far_tag = found[1]
        self._say("ACK", 1)
        if self._relay is None:
            return int(media[1])
        self._relay.lead_to((HOST, int(media[1])))
        return self._relay.near_port

    async def _answer(self, method: str) -> tuple[float, str]:
        """The final answer to our request."""
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                while True:
                    at_s, text = await self._signal.answers.get()
                    if f" {method}\r\n" in text and not text.startswith("SIP/2.0 1"):
                        return at_s, text
        except TimeoutError:
            raise CallFailed(f"{method} was not answered.") from None

    def _say(self, method: str, number: int, body: str = "") -> None:
        own_port = self._wires[0].get_extra_info("sockname")[1]
        tag = f";tag={self._far_tag}" if self._far_tag else ""
        kind = ["Content-Type: application/sdp"] if body else []
        text = _text(
            f"{method} sip:{NUMBER}@{HOST} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:{own_port};branch=z9hG4bK{secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            f"From: <sip:bench@{HOST}>;tag={self._tag}",
            f"To: <sip:{NUMBER}@{HOST}>{tag}",
            f"Call-ID: {self._call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:bench@{HOST}:{own_port}>",
            *kind,
            body=body,
        )
        self._wires[0].sendto(text.encode(), self._server)

    # ── sound ────────────────────────────────────────────────────────────────────────────

    async def say(self, speech: Utterance) -> float:
        """Say it; when the packet that ends with its last audible sample was sent."""
        resampler = Resampler(SPEECH_HZ, RATE_HZ)
        pcm = resampler.push(speech.pcm) + resampler.flush()
        sent: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        for number, at in enumerate(range(0, len(pcm), PACKET_BYTES)):
            packet = pcm[at : at + PACKET_BYTES].ljust(PACKET_BYTES, b"\0")
            self._waiting.append((packet, sent if number == speech.last_packet else None))
        return await sent

    async def _speak(self, far_port: int) -> None:
        due_s, number, ssrc = time.monotonic(), 0, random.getrandbits(32)
        while True:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            pcm, sent = self._waiting.popleft() if self._waiting else (bytes(PACKET_BYTES), None)
            header = _HEADER.pack(0x80, 0, number & 0xFFFF, number * PACKET_SAMPLES, ssrc)
            self._wires[1].sendto(header + to_ulaw(self._noisy(pcm)), (HOST, far_port))
            now_s = time.monotonic()
            self.late_ms.append((now_s - due_s) * 1000)
            if sent is not None and not sent.done():
                sent.set_result(now_s)
            number += 1
            due_s += PACKET_MS / 1000

    def _noisy(self, pcm: bytes) -> bytes:
        """A microphone is never digitally silent."""
        samples = np.frombuffer(pcm, np.int16)
        noise = self._room.normal(0.0, ROOM_NOISE * 32768, len(samples))
        return np.clip(samples + np.rint(noise), -32768, 32767).astype(np.int16).tobytes()


def _text(*lines: str, body: str = "") -> str:
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])


def _description(port: int) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
