"""A caller: a real WebRTC client that speaks from PCM and hears with a stamp on every packet."""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any, cast

import av
import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from bench.ear import Ear
from bench.speech import PACKET_BYTES, PACKET_MS, PACKET_SAMPLES, RATE_HZ, OpusEncoder, Utterance

CONNECT_LIMIT_S = 15.0
PING_EVERY_S = 1.0
RTVI_VERSION = "2.2.0"


class CallFailed(Exception):
    """A call came to nothing; the message says why."""


class Mouth:
    """Gives one Opus packet for every 20 ms: what is to be said, else silence."""

    def __init__(self) -> None:
        self._encoder = OpusEncoder()
        self._waiting: deque[tuple[bytes, asyncio.Future[int] | None]] = deque()
        self._given = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        pcm, spoken = self._waiting.popleft() if self._waiting else (bytes(PACKET_BYTES), None)
        payload = self._encoder.encode(pcm)
        if spoken is not None and not spoken.done():
            spoken.set_result(self._given)
        self._given += 1
        return payload

    async def say(self, speech: Utterance) -> int:
        """Say it; returns the number of the packet that ends with its last audible sample."""
        spoken: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        for number, at in enumerate(range(0, len(speech.pcm), PACKET_BYTES)):
            note = spoken if number == speech.last_packet else None
            self._waiting.append((speech.pcm[at : at + PACKET_BYTES], note))
        return await spoken


class Microphone(MediaStreamTrack):
    """Sends a packet every 20 ms by its own clock and notes when each one left."""

    kind = "audio"

    def __init__(self, payloads: Iterator[bytes]) -> None:
        super().__init__()
        self._payloads = payloads
        self._started_s = 0.0
        self.left_s = array("d")

    async def recv(self) -> av.Packet[Any]:
        number = len(self.left_s)
        if number == 0:
            self._started_s = time.monotonic()
        due_s = self._started_s + number * PACKET_MS / 1000
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        # Encoded already, so that aiortc only packs it: an encoder per caller costs too much.
        packet = av.Packet(next(self._payloads))
        packet.pts = number * PACKET_SAMPLES
        packet.time_base = Fraction(1, RATE_HZ)
        self.left_s.append(time.monotonic())
        return packet

    def lateness_ms(self, since_s: float) -> list[float]:
        """How late each packet since then left, by the microphone's own clock."""
        due_s = (self._started_s + n * PACKET_MS / 1000 for n in range(len(self.left_s)))
        pairs = zip(self.left_s, due_s, strict=True)
        return [(left - due) * 1000 for left, due in pairs if left >= since_s]


class Caller:
    """One call; entering the context dials and waits for sound both ways, leaving hangs up."""

    def __init__(
        self, http: httpx.AsyncClient, payloads: Iterator[bytes], *, agent: str = ""
    ) -> None:
        self._http = http
        self._agent = agent
        # No STUN: everything is on this machine, and aiortc's default asks a stranger's server.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone(payloads)
        self.ear = Ear()
        self.events: list[dict[str, Any]] = []
        self.offered_s = 0.0
        self._news = asyncio.Event()
        self._connected = asyncio.Event()
        self._channel: Any = None
        self._pinging: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Caller:
        try:
            await self._dial()
        except BaseException:
            await self._peer.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pinging:
            self._pinging.cancel()
            await asyncio.gather(self._pinging, return_exceptions=True)
        if self._channel.readyState == "open":
            self._send({"label": "rtvi-ai", "type": "disconnect-bot", "id": "bye"})
            self._send({"type": "goodbye"})
        with suppress(ConnectionError):
            await self._peer.close()

    async def _dial(self) -> None:
        self._channel = self._peer.createDataChannel("chat")
        self._channel.on("open", self._on_open)
        self._channel.on("message", self._on_message)
        self._peer.on("connectionstatechange", self._on_state)
        transceiver = self._peer.addTransceiver(self.microphone, direction="sendrecv")
        self.ear.listen_to(transceiver.receiver)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        self.offered_s = time.monotonic()
        answer = await self._offer()
        await self._peer.setRemoteDescription(
            RTCSessionDescription(sdp=answer["sdp"], type=answer["type"])
        )
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await self._connected.wait()
        except TimeoutError as error:
            raise CallFailed("ICE or DTLS did not complete.") from error

    async def _offer(self) -> dict[str, Any]:
        local = self._peer.localDescription
        body: dict[str, Any] = {"sdp": local.sdp, "type": local.type}
        if self._agent:
            body["request_data"] = {"agent": self._agent}
        reply = await self._http.post("/api/offer", json=body)
        if reply.status_code != 200:
            raise CallFailed(f"The offer got {reply.status_code}: {reply.text[:300]}")
        return reply.json()

    def _on_state(self) -> None:
        if self._peer.connectionState == "connected":
            self._connected.set()

    def _on_open(self) -> None:
        about = {"library": "parley-bench"}
        ready = {"version": RTVI_VERSION, "about": about}
        self._send({"label": "rtvi-ai", "type": "client-ready", "id": "1", "data": ready})
        self._pinging = asyncio.create_task(self._ping())

    async def _ping(self) -> None:
        while True:
            self._channel.send(f"ping: {time.time() * 1000:.0f}")
            await asyncio.sleep(PING_EVERY_S)

    def _send(self, message: dict[str, Any]) -> None:
        self._channel.send(json.dumps(message))

    def _on_message(self, text: str | bytes) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            return
        event = _event_in(message)
        if event is not None:
            self.events.append(event)
            self._news.set()

    async def event(self, name: str, position: int, limit_s: float) -> dict[str, Any] | None:
        """The first event of that name from ``position`` on; None if it does not come in time."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    for event in self.events[position:]:
                        if event.get("event") == name:
                            return event
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None


def _event_in(message: Any) -> dict[str, Any] | None:
    """Parley's event in an RTVI server message, if it carries one."""
    if not isinstance(message, dict):
        return None
    fields = cast(dict[str, Any], message)
    data = fields.get("data")
    if fields.get("type") != "server-message" or not isinstance(data, dict):
        return None
    return cast(dict[str, Any], data).get("parley")


class Punctuality:
    """Watches this process's own event loop: a bench whose callers are late measures itself."""

    EVERY_S = 0.01

    def __init__(self) -> None:
        self.late_ms = array("d")
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Punctuality:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._watching is not None
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            due_s = time.monotonic() + self.EVERY_S
            await asyncio.sleep(self.EVERY_S)
            self.late_ms.append((time.monotonic() - due_s) * 1000)
