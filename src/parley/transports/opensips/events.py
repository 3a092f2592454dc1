"""What OpenSIPS tells of its sessions: E_UA_SESSION events, one UDP datagram each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from parley.core.errors import BadSettings
from parley.core.log import get_logger
from parley.transports.opensips.interface import read_object
from parley.transports.sip.addresses import write_host
from parley.transports.sip.grammar import Malformed, printable
from parley.transports.sip.message import MAX_HEADERS, Headers, Request

log = get_logger(__name__)

EVENT = "E_UA_SESSION"
MAX_KEY_CHARACTERS = 256
MAX_STRANGERS = 1000

_FOLD = re.compile(r"\r?\n[ \t]+")
_LINE = re.compile(r"\r?\n")


@dataclass(frozen=True, slots=True)
class UaEvent:
    """One event. ``kind`` is NEW, EARLY, ANSWERED, REJECTED, UPDATED or TERMINATED.

    ``status`` is 0 for a request. ``headers`` and ``body`` are "" where OpenSIPS was not told to
    give them; ``extra`` is what its script added to a NEW one.
    """

    key: str
    kind: str
    method: str
    status: int = 0
    reason: str = ""
    headers: str = ""
    body: str = ""
    extra: str = ""

    @classmethod
    def read(cls, data: bytes) -> UaEvent:
        """Raises ``Malformed``."""
        said = read_object(data)
        found = said.get("params")
        if said.get("method") != EVENT or not isinstance(found, dict):
            raise Malformed(f"it is no {EVENT} event")
        given = cast("dict[str, object]", found)
        key = _text(given.get("key"))
        if not key or len(key) > MAX_KEY_CHARACTERS or not key.isprintable():
            raise Malformed("it names no session")
        return cls(
            key=key,
            kind=_text(given.get("event_type")).upper(),
            method=_text(given.get("method")).upper(),
            status=_status(given.get("status")),
            reason=printable(_text(given.get("reason"))),
            headers=_text(given.get("headers")),
            body=_text(given.get("body")),
            extra=_text(given.get("extra_params")),
        )

    def as_request(self) -> Request:
        """The same as a message, for those who read messages. Unreadable headers are left out."""
        headers = Headers()
        lines = _LINE.split(_FOLD.sub(" ", self.headers))
        for line in lines[:MAX_HEADERS]:
            name, _, value = line.partition(":")
            try:
                headers.add(name.strip(), value.strip())
            except Malformed:
                continue
        body = self.body.encode("utf-8", "surrogateescape")
        return Request(headers, body, self.method, "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _status(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4:
        value = int(value)
    return value if isinstance(value, int) and 0 <= value < 700 else 0


class EventSocket(asyncio.DatagramProtocol):
    """Takes events from those who may send them; what can't be read is dropped."""

    def __init__(self, take: Callable[[UaEvent], None], knows: Callable[[str], bool]) -> None:
        self._take = take
        self._knows = knows
        self._wire: asyncio.DatagramTransport | None = None
        self._strangers: set[str] = set()

    async def open(self, host: str, port: int) -> None:
        """Raises ``BadSettings``."""
        loop = asyncio.get_running_loop()
        try:
            self._wire, _ = await loop.create_datagram_endpoint(
                lambda: self, local_addr=(host, port)
            )
        except (OSError, UnicodeError) as error:
            raise BadSettings(
                f"OpenSIPS's events can't be listened for on {write_host(host)}:{port}: {error}.",
                hint="EVENT_IP is an address of this machine; EVENT_PORT=0 takes any free port.",
            ) from error

    @property
    def address(self) -> tuple[str, int]:
        assert self._wire is not None, "the socket is not open"
        host, port, *_ = self._wire.get_extra_info("sockname")
        return str(host), int(port)

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if not self._knows(str(addr[0])):
            self._note_stranger(str(addr[0]))
            return
        try:
            event = UaEvent.read(data)
        except Malformed as error:
            log.debug("opensips_event_unreadable", peer=addr[0], why=str(error))
            return
        self._take(event)

    def _note_stranger(self, host: str) -> None:
        """Log each once."""
        if host not in self._strangers and len(self._strangers) < MAX_STRANGERS:
            self._strangers.add(host)
            log.warning(
                "opensips_stranger_ignored",
                peer=host,
                hint="Events are taken from MI_IP and this machine; list others in "
                "PARLEY_SIP_PEERS.",
            )
