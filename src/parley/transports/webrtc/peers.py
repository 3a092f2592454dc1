"""Who is connected, by every name that signalling may know them: pc_id, user fragment, cookie."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)

from parley.core.errors import NotFound
from parley.core.log import get_logger
from parley.transports.webrtc.connection import BrowserConnection
from parley.transports.webrtc.media import WebRtcMedia
from parley.transports.webrtc.options import WebRtcOptions
from parley.transports.webrtc.opus import Libopus

log = get_logger(__name__)


@dataclass(eq=False)
class Peer:
    """One call's browser. It keeps its cookie and all its pc_ids when it comes back.

    ``owner`` is the tenant and the key that began the call.
    """

    media: WebRtcMedia
    owner: tuple[str, str] | None = None
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    pc_ids: set[str] = field(default_factory=set[str])
    negotiating: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def ufrags(self) -> frozenset[str]:
        connection = self.media.connection
        return connection.ufrags if connection is not None else frozenset()


class Peers(SmallWebRTCRequestHandler):
    """Pipecat's request handler with its patch handling, and an offer handling that lets errors
    through, knows a restarted connection by its old name too, and forgets calls that are over."""

    def __init__(self, options: WebRtcOptions) -> None:
        super().__init__()
        self.options = options
        self._peers: set[Peer] = set()
        self._libopus = open_libopus() if options.opus_path else None

    def __len__(self) -> int:
        return len(self._peers)

    async def handle_web_request(
        self,
        request: SmallWebRTCRequest,
        webrtc_connection_callback: Callable[[Any], Awaitable[None]],
        call_id: str = "",
    ) -> dict[str, str]:
        """Answer an offer: of a new caller, or of one who is here already.

        The callback gets a new caller's ``Peer``; if it raises, so does this, and nothing is
        left. Raises ``BadOffer``.
        """
        peer = self.find(pc_id=request.pc_id) if request.pc_id else None
        if peer is None and request.restart_pc:
            raise NotFound("The call to carry on is over.", hint="Start a new one.", param="pc_id")
        if peer is None:
            return await self._welcome(request.sdp, webrtc_connection_callback, call_id)
        async with peer.negotiating:
            present = peer.media.connection
            if request.restart_pc or present is None or present.is_closed:
                return await self._replace(peer, request.sdp)
            await present.renegotiate(request.sdp, request.type)
            return answer_of(present)

    async def _welcome(
        self, sdp: str, callback: Callable[[Any], Awaitable[None]], call_id: str
    ) -> dict[str, str]:
        media = WebRtcMedia(self.options, self._libopus, call_id=call_id)
        peer = Peer(media)
        media.on_over = lambda: self.forget(peer)
        connection = media.new_connection()
        try:
            await connection.initialize(sdp, "offer")
            media.adopt(connection)
            self._remember(peer, connection)
            await callback(peer)
        except BaseException:
            await connection.close()
            await media.hang_up("error")
            raise
        return answer_of(connection)

    async def _replace(self, peer: Peer, sdp: str) -> dict[str, str]:
        connection = peer.media.new_connection()
        try:
            await connection.initialize(sdp, "offer")
        except BaseException:
            await connection.close()
            raise
        if peer.media.is_over:
            await connection.close()
            raise NotFound("The call ended meanwhile.", hint="Start a new one.")
        log.info("caller_reconnects", call_id=peer.media.call_id)
        peer.media.adopt(connection)
        self._remember(peer, connection)
        return answer_of(connection)

    def _remember(self, peer: Peer, connection: BrowserConnection) -> None:
        self._peers.add(peer)
        peer.pc_ids.add(connection.pc_id)
        for pc_id in peer.pc_ids:
            self._pcs_map[pc_id] = connection

    def forget(self, peer: Peer) -> None:
        self._peers.discard(peer)
        for pc_id in peer.pc_ids:
            self._pcs_map.pop(pc_id, None)

    def find(self, *, pc_id: str = "", ufrag: str = "", cookie: str = "") -> Peer | None:
        """The live call that has the pc_id; else the one with the user fragment (with the cookie
        too, if several have it: browsers make it of four letters); else with the cookie."""
        live = [peer for peer in self._peers if not peer.media.is_over]
        if pc_id:
            return next((peer for peer in live if pc_id in peer.pc_ids), None)
        same_cookie = [
            peer
            for peer in live
            if cookie and secrets.compare_digest(peer.cookie.encode(), cookie.encode())
        ]
        found = [peer for peer in live if ufrag and ufrag in peer.ufrags]
        if len(found) > 1:
            found = [peer for peer in found if peer in same_cookie]
        return next(iter(found or same_cookie), None)

    async def close(self) -> None:
        """End what no session has ended."""
        for peer in list(self._peers):
            await peer.media.hang_up("drain")


def answer_of(connection: BrowserConnection) -> dict[str, str]:
    """``sdp``, ``type`` and ``pc_id`` of the answer to the newest offer."""
    return cast(dict[str, str], connection.get_answer())


def open_libopus() -> Libopus | None:
    """The codec; None, and a word about it in the log, where the library isn't installed."""
    try:
        return Libopus()
    except OSError as error:
        log.warning(
            "opus_path_off",
            reason=str(error),
            hint="Install libopus (Debian: libopus0) for calls that survive packet loss.",
        )
        return None
