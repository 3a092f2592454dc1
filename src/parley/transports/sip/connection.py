"""One TCP or TLS connection with a SIP peer, whoever opened it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from parley.core.log import get_logger
from parley.transports.sip.addresses import Carrier
from parley.transports.sip.framing import PONG, Framer
from parley.transports.sip.grammar import Malformed
from parley.transports.sip.options import SipOptions

log = get_logger(__name__)

MAX_UNSENT_BYTES = 1_048_576


class Connection(asyncio.Protocol):
    """Gives each whole message on; closes when the stream makes no sense, or nothing comes."""

    def __init__(
        self,
        carrier: Carrier,
        options: SipOptions,
        take: Callable[[Any, Connection], None],
        connected: Callable[[Connection], bool],
        disconnected: Callable[[Connection], None],
    ) -> None:
        self.carrier: Carrier = carrier
        self.host, self.port = "", 0
        self._options = options
        self._take = take
        self._connected = connected
        self._disconnected = disconnected
        self._framer = Framer(options.max_head_bytes, options.max_body_bytes)
        self.checked_name = ""
        """The name that its certificate was checked for, where we opened it by TLS."""
        self.used_s = 0.0
        """When the last message came or went, in the loop's time."""
        self._wire: asyncio.Transport | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._waits_for_rest = False
        self._is_known = False

    @property
    def is_open(self) -> bool:
        return self._wire is not None and not self._wire.is_closing()

    @property
    def is_reliable(self) -> bool:
        return True

    def send(self, data: bytes) -> None:
        self._note_use()
        self._write(data)

    def _write(self, data: bytes) -> None:
        if self._wire is None or self._wire.is_closing():
            return
        self._wire.write(data)
        if self._wire.get_write_buffer_size() > MAX_UNSENT_BYTES:
            log.warning("sip_peer_reads_nothing", peer=self.host)
            self._wire.abort()

    def _note_use(self) -> None:
        self._is_known = True
        self.used_s = asyncio.get_running_loop().time()

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()

    def abort(self) -> None:
        """Close at once; what hasn't been read is lost."""
        if self._wire is not None:
            self._wire.abort()

    # ── asyncio.Protocol ─────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Event loops other than asyncio's own have transports of their own.
        wire = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.host, self.port = str(peer[0]), int(peer[1])
        self._wire = wire
        if not self._connected(self):
            wire.abort()
            return
        self._wait_for_more()

    def data_received(self, data: bytes) -> None:
        if not self.is_open:
            return
        try:
            for message in self._framer.feed(data):
                self._note_use()
                self._take(message, self)
        except Malformed as error:
            log.info("sip_stream_closed", peer=self.host, why=str(error))
            self.close()
            return
        self._answer_pings()
        self._wait_for_more()

    def _answer_pings(self) -> None:
        if self._framer.pings:
            self._write(PONG * self._framer.pings)
        self._framer.pings = 0

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._disconnected(self)

    def _wait_for_more(self) -> None:
        """Nobody keeps us waiting for the rest of a message, nor forever for the next one.

        Who hasn't said anything yet has no claim to a place. The rest of a message is waited for
        from when it began: drops of it win no time.
        """
        is_between = self._framer.is_between
        if self._alarm is not None:
            if not is_between and self._waits_for_rest:
                return
            self._alarm.cancel()
        self._waits_for_rest = not is_between
        may_idle = is_between and self._is_known
        limit_s = self._options.idle_connection_s if may_idle else self._options.half_message_s
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_later(limit_s, self.close)
