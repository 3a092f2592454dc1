"""A stand-in for the server: real WebRTC, no speech. Tests tell it what to say and how to fail.

Run it as a program, `python -m tests.console.stand_in PORT`; it is told what to do over HTTP
under /stand-in, and reports what the page sent.
"""

from __future__ import annotations

import asyncio
import fractions
import json
import socket
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import uvicorn
from aiortc import (
    MediaStreamTrack,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from parley.console.pages import console_router

RATE_HZ = 48_000
FRAME_SAMPLES = 960

AGENTS: list[dict[str, Any]] = [
    {
        "name": "receptionist",
        "title": "Reception at Dr. Morgan’s",
        "description": "Opening hours, and booking, moving or cancelling an appointment.",
        "is_default": True,
        "voice": "en-us+f3",
        "voices": [
            {"id": "en-us+f3", "name": "Annie", "language": "en-US"},
            {"id": "en-gb+m2", "name": "Edward", "language": "en-GB"},
            {"id": "de+f2", "name": "Clara", "language": "de"},
        ],
        "engines": {"stt": "builtin", "llm": "scripted", "tts": "builtin"},
        "is_language_model": False,
    },
    {
        "name": "companion",
        "title": "Companion",
        "description": "Talks about anything.",
        "is_default": False,
        "voice": "af_heart",
        "voices": [],
        "engines": {"stt": "whisper", "llm": "ollama", "tts": "kokoro"},
        "is_language_model": True,
    },
]


class Hum(MediaStreamTrack):
    """A voice of sorts: silence, or a tone that swells like speech. Stands still when frozen."""

    kind = "audio"

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self._peer = peer
        self._at = 0
        self._next_s = 0.0

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        self._next_s = max(self._next_s, loop.time() - 0.1)
        await asyncio.sleep(max(0.0, self._next_s - loop.time()))
        self._next_s += FRAME_SAMPLES / RATE_HZ
        await self._peer.moving.wait()
        frame = av.AudioFrame.from_ndarray(self._samples(), format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.pts = self._at
        frame.time_base = fractions.Fraction(1, RATE_HZ)
        self._at += FRAME_SAMPLES
        return frame

    def _samples(self) -> np.ndarray[Any, Any]:
        t = (self._at + np.arange(FRAME_SAMPLES)) / RATE_HZ
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * 2.3 * t)
        loudness = 0.25 if self._peer.is_humming else 0.0
        tone = np.sin(2 * np.pi * 180 * t) + 0.5 * np.sin(2 * np.pi * 540 * t)
        return (loudness * swell * tone * 20_000).astype(np.int16)[None, :]


@dataclass(eq=False)
class Peer:
    """One connection of the session."""

    id: str
    pc: RTCPeerConnection = field(default_factory=RTCPeerConnection)
    channel: RTCDataChannel | None = None
    is_humming: bool = False
    moving: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class StandIn:
    """What it was told, what it got, and the one session it has."""

    offers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    patches: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    messages: list[Any] = field(default_factory=list[Any])
    closed: list[str] = field(default_factory=list[str])
    keys: list[str] = field(default_factory=list[str])
    agents: list[dict[str, Any]] = field(default_factory=lambda: AGENTS)
    # Path → [status, body, headers]: answered instead of doing the work.
    refusals: dict[str, Any] = field(default_factory=dict[str, Any])
    key: str = ""
    welcomes_strangers: bool = False
    session_id: str = ""
    peers: dict[str, Peer] = field(default_factory=dict[str, Peer])
    latest: Peer | None = None

    def refusal(self, request: Request) -> Response | None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.keys.append(given)
        if self.key and given != self.key:
            return error(401, "invalid_api_key", "That key is not known here.")
        told = self.refusals.get(f"{request.method} {request.url.path}")
        return JSONResponse(told[1], told[0], headers=told[2]) if told else None

    async def offer(self, body: dict[str, Any]) -> Response:
        self.offers.append(body)
        restarts = body.get("restart_pc", False)
        is_known = body.get("pc_id") in self.peers
        if restarts and not is_known and not self.welcomes_strangers:
            return error(404, "not_found", "There is no such call.")
        if not is_known:
            self.session_id = f"call_{len(self.offers)}"
        peer = Peer(f"pc_{len(self.offers)}")
        peer.moving.set()
        old, self.latest = self.latest, peer
        self.peers[peer.id] = peer
        if restarts and old is not None:
            await old.pc.close()
        await self._answer(peer, body)
        answer = peer.pc.localDescription
        return JSONResponse(
            {
                "sdp": answer.sdp,
                "type": answer.type,
                "pc_id": peer.id,
                "session_id": self.session_id,
            }
        )

    async def _answer(self, peer: Peer, body: dict[str, Any]) -> None:
        peer.pc.on("datachannel", lambda channel: self._opened(peer, channel))
        peer.pc.on("connectionstatechange", lambda: self._changed(peer))
        peer.pc.addTrack(Hum(peer))
        await peer.pc.setRemoteDescription(RTCSessionDescription(body["sdp"], "offer"))
        await peer.pc.setLocalDescription(await peer.pc.createAnswer())

    def _opened(self, peer: Peer, channel: RTCDataChannel) -> None:
        peer.channel = channel
        channel.on("message", lambda text: self._received(channel, text))

    def _received(self, channel: RTCDataChannel, text: str) -> None:
        if text.startswith("ping"):
            self.messages.append("ping")
            return
        message = json.loads(text)
        self.messages.append(message)
        if message.get("type") == "client-ready":
            ready = {"label": "rtvi-ai", "type": "bot-ready", "id": message["id"]}
            channel.send(json.dumps(ready | {"data": {"version": "2.2.0"}}))

    def _changed(self, peer: Peer) -> None:
        if peer.pc.connectionState == "closed":
            self.closed.append(peer.id)

    async def patch(self, body: dict[str, Any]) -> Response:
        self.patches.append(body)
        peer = self.peers.get(body["pc_id"])
        if peer is None:
            return error(404, "not_found", "There is no such connection.")
        for found in body["candidates"]:
            candidate = candidate_from_sdp(found["candidate"].removeprefix("candidate:"))
            candidate.sdpMid = found["sdp_mid"]
            candidate.sdpMLineIndex = found["sdp_mline_index"]
            await peer.pc.addIceCandidate(candidate)
        return JSONResponse({"status": "success"})

    # ── what a test tells it ─────────────────────────────────────────────────

    async def tell(self, order: dict[str, Any]) -> None:
        """Obey: set ``key``, ``agents``, ``refusals``, ``welcomes_strangers``; ``say`` events,
        ``send`` any message; ``hum``; ``freeze``; ``forget`` the session."""
        for name in ("key", "agents", "refusals", "welcomes_strangers"):
            if name in order:
                setattr(self, name, order[name])
        peer = self.latest
        for event in order.get("say", ()):
            data = {"parley": {"call_id": self.session_id, "at_s": 0.0, **event}}
            send(peer, {"label": "rtvi-ai", "type": "server-message", "data": data})
        if "send" in order:
            send(peer, order["send"])
        if "hum" in order and peer is not None:
            peer.is_humming = order["hum"]
        if order.get("freeze") and peer is not None:
            peer.moving.clear()
        if order.get("forget"):
            self.session_id = ""
            self.peers.clear()

    def report(self) -> dict[str, Any]:
        names = ("offers", "patches", "messages", "closed", "keys", "session_id")
        return {name: getattr(self, name) for name in names}


def send(peer: Peer | None, message: dict[str, Any]) -> None:
    assert peer is not None and peer.channel is not None, "there is no call"
    peer.channel.send(json.dumps(message))


def error(status: int, code: str, message: str) -> Response:
    body = {"message": message, "type": "server_error", "param": None, "code": code}
    return JSONResponse({"error": body}, status)


def make_app() -> FastAPI:
    """The web application; its state is started afresh by ``DELETE /stand-in``."""
    app = FastAPI()
    app.include_router(console_router())
    state = [StandIn()]

    @app.api_route("/api/{path:path}", methods=["GET", "POST", "PATCH"])
    async def api(path: str, request: Request) -> Response:
        now = state[0]
        refused = now.refusal(request)
        if refused is not None:
            return refused
        match request.method, path:
            case "GET", "agents":
                return JSONResponse({"agents": now.agents})
            case "GET", "ice-servers":
                return JSONResponse({"iceServers": []})
            case "POST", "offer":
                return await now.offer(await request.json())
            case "PATCH", "offer":
                return await now.patch(await request.json())
            case _:
                return error(404, "not_found", "There is nothing here.")

    @app.api_route("/stand-in", methods=["GET", "POST", "DELETE"])
    async def stand_in(request: Request) -> dict[str, Any]:
        if request.method == "DELETE":
            peers = [*state[0].peers.values()]
            state[0] = StandIn()
            await asyncio.gather(*(peer.pc.close() for peer in peers))
        elif request.method == "POST":
            await state[0].tell(await request.json())
        return state[0].report()

    return app


def main() -> None:
    """Listen on a free port, say which, and serve until the process is ended."""
    server = uvicorn.Server(uvicorn.Config(make_app(), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        server.run(sockets=[listening])


if __name__ == "__main__":
    main()
