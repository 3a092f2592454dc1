"""Somebody with a telephone: signalling and sound on loopback, at the pace of speech."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
from aiortc.rtp import RtpPacket

from parley.core.audio import Resampler
from parley.core.g711 import from_ulaw
from parley.transports.sip.rtp.codecs import G722Decoder, G722Encoder
from tests.caller_voice import CALLER_HZ
from tests.transports.sip.phone import SDP_LINE, Phone, Seen, udp_phone
from tests.transports.sip.rtp.far_end import EVENTS, LOOPBACK, FarEnd, packets, sdp

PACKET_S = 0.02
AUDIBLE = 50


class PhoneCaller:
    """Sends a packet every 20 ms, of speech or of silence, as a telephone does.

    It speaks PCMU, or G.722 where it ``is_wideband``.
    """

    def __init__(self, phone: Phone, sound: FarEnd, *, is_wideband: bool = False) -> None:
        self.phone = phone
        self.sound = sound
        self.rate_hz = 16_000 if is_wideband else 8000
        self._codec = "g722" if is_wideband else "ulaw"
        self._type = 9 if is_wideband else 0
        self._silence = G722Encoder(20).silence() if is_wideband else b"\xff" * 160
        self.is_muted = False
        self.far_port = 0
        self._speech: asyncio.Queue[bytes] = asyncio.Queue()
        self._said = asyncio.Event()
        self._cseq = 1
        self._sending: asyncio.Task[None] | None = None

    @property
    def sdp(self) -> str:
        kinds = f"{self._type} 96"
        return sdp(self.sound.port, formats=kinds, lines=EVENTS, host=self.sound.host)

    # ── the call ─────────────────────────────────────────────────────────────────────────

    async def call(self, agent: str = "tester", **changes: object) -> Seen:
        """Call, acknowledge and begin to send sound."""
        changes.setdefault("body", self.sdp)
        answer = await self.phone.call(uri=f"sip:{agent}@{self.phone.host}", **changes)
        self.begin(answer.body)
        return answer

    def begin(self, description: str) -> None:
        line = next(each for each in description.splitlines() if each.startswith("m=audio"))
        self.far_port = int(line.split()[1])
        self._sending = asyncio.create_task(self._send())

    async def refused(self, agent: str = "tester", **changes: object) -> Seen:
        """Call where nobody answers; the refusal."""
        changes.setdefault("body", self.sdp)
        self.phone.say(self.phone.invite(uri=f"sip:{agent}@127.0.0.1", **changes))
        while (seen := await self.phone.hear()).status < 200:
            pass
        return seen

    async def ask(self, method: str, *, extra: str = "", body: str = "") -> Seen:
        """A request within the call, and its answer; a re-INVITE's is acknowledged."""
        self._cseq += 1
        said = self.phone.compose(method, cseq=self._cseq, extra=extra, body=body)
        answer = await self.phone.ask(said)
        if method == "INVITE":
            self.phone.acknowledge(answer)
        return answer

    async def offer(self, direction: str) -> Seen:
        lines = (*EVENTS, f"a={direction}")
        body = sdp(self.sound.port, formats=f"{self._type} 96", lines=lines)
        return await self.ask("INVITE", extra=SDP_LINE, body=body)

    async def hear_goodbye(self) -> Seen:
        bye = await self.phone.hear("BYE")
        self.phone.reply(bye, "200 OK")
        return bye

    def leave(self) -> None:
        self._cseq += 1
        self.phone.say(self.phone.compose("BYE", cseq=self._cseq))

    # ── sound ────────────────────────────────────────────────────────────────────────────

    async def speak(self, pcm: bytes) -> None:
        """Say it; ``pcm`` is at 16 kHz. Returns when it has been said."""
        down = Resampler(CALLER_HZ, self.rate_hz)
        for packet in packets(down.push(pcm) + down.flush(), codec=self._codec):
            self._speech.put_nowait(packet.payload)
        self._said.clear()
        await self._said.wait()

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        due_s, number = loop.time(), 0
        while True:
            is_speech = not self._speech.empty()
            payload = self._speech.get_nowait() if is_speech else self._silence
            if not is_speech:
                self._said.set()
            if not self.is_muted:
                packet = RtpPacket(self._type, 0, number & 0xFFFF, number * 160, 7, payload)
                self.sound.send(packet.serialize(), self.far_port)
            number += 1
            due_s += PACKET_S
            await asyncio.sleep(max(0.0, due_s - loop.time()))

    def heard(self) -> np.ndarray:
        """All sound so far, at ``rate_hz``."""
        decode = G722Decoder().decode if self._codec == "g722" else from_ulaw
        ours = [p.payload for p in self.sound.packets if p.payload_type == self._type]
        return np.frombuffer(b"".join(map(decode, ours)), np.int16)

    @property
    def audible_ms(self) -> float:
        return float(np.count_nonzero(np.abs(self.heard()) > AUDIBLE)) * 1000 / self.rate_hz

    async def hear(self, more_ms: float = 0.0) -> None:
        """Return when that much more than what has been heard could be heard."""
        wanted = self.audible_ms + more_ms
        await self.sound.until(lambda: self.audible_ms > wanted)

    async def until(self, what: Callable[[], bool]) -> None:
        await self.sound.until(what)

    async def close(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        self.sound.close()


@asynccontextmanager
async def phone_caller(
    port: int, *, is_wideband: bool = False, host: str = LOOPBACK
) -> AsyncIterator[PhoneCaller]:
    async with udp_phone(port, host) as phone:
        caller = PhoneCaller(phone, await FarEnd().open(host), is_wideband=is_wideband)
        try:
            yield caller
        finally:
            await caller.close()
