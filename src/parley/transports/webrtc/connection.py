"""One peer connection with a browser: its offer answered, its sound and messages joined to a call.

Pipecat's connection drops outgoing sound three seconds after the last ping, keeps timers after
closing and waits forever for offers that never connect. This one knows only the real state of
its peer connection and leaves waiting and giving up to the call's media.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import aiortc
from aiortc import (
    RTCDataChannel,
    RTCIceCandidate,
    RTCIceServer,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

from parley.core.errors import BadOffer, NotSupported
from parley.core.log import get_logger
from parley.transports.webrtc.aiortc_inside import (
    TESTED_AIORTC,
    accept_only_opus,
    can_replace_jitter_buffer,
    close_for_good,
    first_mid,
    packets_received,
    replace_jitter_buffer,
)
from parley.transports.webrtc.channel import DataChannel
from parley.transports.webrtc.microphone import CALLER_RATE_HZ
from parley.transports.webrtc.options import IceServer
from parley.transports.webrtc.opus import Libopus
from parley.transports.webrtc.plain_receiver import listen
from parley.transports.webrtc.receiver import OpusReceiver
from parley.transports.webrtc.sdp import MAX_CANDIDATES, finish_answer, read_offer
from parley.transports.webrtc.sender import VOICE_RATE_HZ, VoiceTrack

log = get_logger(__name__)

_CLOSE_LIMIT_S = 3.0


class ConnectionListener(Protocol):
    """Who is told what becomes of a connection. No call may block."""

    def on_state(self, connection: BrowserConnection, state: str) -> None:
        """``connecting``, ``connected``, ``failed`` or ``closed``."""
        ...

    def on_channel_open(self, connection: BrowserConnection) -> None:
        """There is an open data channel, or room in it again."""
        ...

    def on_text(self, connection: BrowserConnection, text: str | bytes) -> None:
        """A message came over the data channel."""
        ...


@dataclass(frozen=True)
class ConnectionPlan:
    """What every connection of one call is made with. ``libopus`` None: aiortc's own codecs."""

    ice_servers: Sequence[IceServer]
    libopus: Libopus | None
    hear: Callable[[bytes], None]
    listener: ConnectionListener


class BrowserConnection(SmallWebRTCConnection):
    """An ``RTCPeerConnection`` and what hangs on it; ``close`` ends all of it."""

    def __init__(self, plan: ConnectionPlan) -> None:
        self._plan = plan
        self.ufrags: frozenset[str] = frozenset()
        self.receiver: OpusReceiver | None = None
        self.track: VoiceTrack | None = None
        self._audio: RTCRtpTransceiver | None = None
        self._candidates = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._freeing: asyncio.Task[None] | None = None
        super().__init__(ice_servers=[_for_aiortc(server) for server in plan.ice_servers])
        self.channel = DataChannel(self._pc)

    # ── offer and answer ─────────────────────────────────────────────────────────────────

    async def initialize(self, sdp: str, type: str) -> None:
        """Answer an offer. Raises ``BadOffer``; the connection is then of no more use."""
        await self._create_answer(sdp, type)

    async def renegotiate(self, sdp: str, type: str, restart_pc: bool = False) -> None:
        """Answer a further offer on the same peer connection; ``restart_pc`` is refused."""
        if restart_pc:
            raise NotSupported("A restart takes a new connection.")
        await self._create_answer(sdp, type)

    async def _create_answer(self, sdp: str, type: str) -> None:
        offer = read_offer(sdp)
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(offer.text, "offer"))
            self._join_audio(offer.has_opus)
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except Exception as error:
            # aiortc parses with asserts, StopIteration and KeyError: whatever it raises here was
            # brought about by the offer. What a ValueError says is meant to be read.
            reason = f": {error}" if isinstance(error, ValueError) else ""
            raise BadOffer(
                f"The offer can't be answered{reason}.",
                hint="Send what RTCPeerConnection.createOffer() gave.",
                param="sdp",
            ) from error
        self.ufrags |= offer.ufrags
        answer = finish_answer(self._pc.localDescription.sdp, offer)
        self._answer = RTCSessionDescription(answer, "answer")
        for candidate in offer.candidates:
            await self.add_ice_candidate(candidate)
        # Names are still being looked up; saying that this was all would shut them out.
        if offer.candidates_end and not any(_is_name(c) for c in offer.candidates):
            await self.add_ice_candidate(None)

    def _join_audio(self, has_opus: bool) -> None:
        for transceiver in self._pc.getTransceivers():
            if transceiver.kind == "audio" and self._audio in (None, transceiver):
                self._audio = transceiver
                transceiver.direction = "sendrecv"
            else:
                transceiver.direction = "inactive"
        if self._audio is not None and self.track is None:
            self._open_audio(self._audio, has_opus)
        if self._audio is not None and self.receiver is not None:
            accept_only_opus(self._audio)

    def _open_audio(self, audio: RTCRtpTransceiver, has_opus: bool) -> None:
        libopus = self._plan.libopus if has_opus else None
        if libopus is not None and not can_replace_jitter_buffer(audio.receiver):
            log.warning("opus_path_off", version=aiortc.__version__, tested=TESTED_AIORTC)
            libopus = None
        if libopus is not None:
            self.track = VoiceTrack(libopus.encoder(VOICE_RATE_HZ))
            self.receiver = OpusReceiver(libopus.decoder(CALLER_RATE_HZ), self._plan.hear)
            replace_jitter_buffer(audio.receiver, self.receiver)
        else:
            self.track = VoiceTrack(None)
            self._own(listen(audio.receiver, self._plan.hear), "listen")
        audio.sender.replaceTrack(self.track)

    # ── candidates ───────────────────────────────────────────────────────────────────────

    async def add_ice_candidate(self, candidate: RTCIceCandidate | None) -> None:
        """Add one candidate. A ``.local`` name is looked up behind the scenes: it takes seconds
        and mostly fails, while the browser's own checks find us anyway."""
        if self._closed or self._candidates >= MAX_CANDIDATES:
            return
        if candidate is not None:
            if candidate.protocol.lower() != "udp":
                # aioice speaks no other; a browser offers TCP beside it.
                return
            self._candidates += 1
            # Told nothing, aiortc refuses it; told only a number, it counts the declined sections.
            candidate.sdpMid = candidate.sdpMid or first_mid(self._pc)
            candidate.sdpMLineIndex = None
            if _is_name(candidate):
                self._own(self._look_up(candidate), "mdns")
                return
        await self._pc.addIceCandidate(candidate)

    async def _look_up(self, candidate: RTCIceCandidate) -> None:
        try:
            await self._pc.addIceCandidate(candidate)
        except (OSError, ValueError) as error:
            log.debug("mdns_lookup_failed", error=str(error))

    # ── state and messages ───────────────────────────────────────────────────────────────

    def is_connected(self) -> bool:
        return self._pc.connectionState == "connected"

    @property
    def is_closed(self) -> bool:
        return self._closed or self._pc.connectionState in ("closed", "failed")

    @property
    def packets_received(self) -> int:
        """Everything that came over the wire but connectivity checks."""
        return packets_received(self._audio) if self._audio is not None else 0

    def counters(self) -> dict[str, float]:
        """What became of the packets of this connection."""
        counted: dict[str, float] = {}
        if self.receiver is not None:
            counted |= asdict(self.receiver.counters)
        if self.track is not None:
            counted["stalled_ms"] = self.track.stalled_ms
        return counted

    def send_app_message(self, message: Any) -> None:
        """Send one message, if the data channel is open and the far side still reads."""
        self.channel.send(json.dumps(message, default=str))

    def _setup_listeners(self) -> None:
        self._pc.on("connectionstatechange", self._on_state)
        self._pc.on("datachannel", self._on_channel)

    def _on_state(self) -> None:
        if not self._closed:
            self._plan.listener.on_state(self, self._pc.connectionState)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self.channel.open(channel, self._on_message, self._on_room)

    def _on_room(self) -> None:
        self._plan.listener.on_channel_open(self)

    def _on_message(self, text: str | bytes) -> None:
        if not self._closed:
            self._plan.listener.on_text(self, text)

    # ── the end ──────────────────────────────────────────────────────────────────────────

    async def disconnect(self) -> None:
        await self.close()

    async def close(self) -> None:
        """Free everything. May be repeated; once begun it goes on if the waiting is cancelled,
        since aiortc can't be closed again after half a closing."""
        if self._freeing is None:
            self._closed = True
            self._freeing = asyncio.create_task(self._free(), name=f"close:{self.pc_id}")
        await asyncio.shield(self._freeing)

    async def _free(self) -> None:
        if self.track is not None:
            self.track.playout = None
            self.track.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(_CLOSE_LIMIT_S):
                await close_for_good(self._pc)
        except TimeoutError:
            log.error("peer_connection_stuck", pc_id=self.pc_id)
        self.channel.forget()

    def _own(self, work: Any, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=f"{name}:{self.pc_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _is_name(candidate: RTCIceCandidate) -> bool:
    return candidate.ip.lower().endswith(".local")


def _for_aiortc(server: IceServer) -> RTCIceServer:
    return RTCIceServer(list(server.urls), server.username or None, server.credential or None)
