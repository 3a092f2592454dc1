"""What somebody on the network can do who isn't meant to: fill, flood, take over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from parley.core.errors import UnsupportedMedia
from parley.transports.sip.addresses import Address
from parley.transports.sip.connection import Connection
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.grammar import Malformed
from parley.transports.sip.info_keys import RELAY, read_key
from parley.transports.sip.message import Request, read_datagram
from parley.transports.sip.open_connections import OpenConnections
from parley.transports.sip.options import SipOptions
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import SDP, SDP_LINE, Phone, stream_phone, udp_phone

ELSEWHERE = "127.0.0.2"
OPTIONS = (
    "OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/TCP x;branch=z9hG4bK{}\r\nFrom: <sip:x@y>;tag=1\r\n"
    "To: <sip:x@y>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


# ── connections ──────────────────────────────────────────────────────────────────────────────


class Unread(asyncio.Transport):
    """A connection whose other end reads nothing."""

    def __init__(self, host: str = ELSEWHERE, port: int = 4000) -> None:
        super().__init__({"peername": (host, port)})
        self.unsent = 0
        self.is_over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.unsent += len(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.is_over

    def close(self) -> None:
        """What is unsent comes first, and that is never."""

    def abort(self) -> None:
        self.is_over = True


def connection(all_open: OpenConnections, wire: Unread) -> Connection:
    made = Connection("tcp", SipOptions(), lambda *_: None, all_open.add, all_open.remove)
    made.connection_made(wire)
    return made


async def test_who_pings_and_reads_nothing_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.transports.sip.connection.MAX_UNSENT_BYTES", 10_000)
    wire = Unread()
    pinged = connection(OpenConnections(1), wire)

    while not wire.is_over and wire.unsent < 100_000:
        pinged.data_received(b"\r\n\r\n" * 1000)
    pinged.connection_lost(None)

    assert wire.is_over


async def test_who_reads_nothing_keeps_nobody_from_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.transports.sip.open_connections.CLOSING_S", 0.01)
    all_open, wire = OpenConnections(1), Unread()
    unread = connection(all_open, wire)

    await all_open.close()
    unread.connection_lost(None)

    assert wire.is_over


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def occupy(endpoint: SipEndpoint, number: int) -> Stream:
    """Open a connection from elsewhere that has said something; its answer is read."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", endpoint.port, local_addr=(ELSEWHERE, 0)
    )
    writer.write(OPTIONS.format(number).encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def rest_of(stream: Stream) -> bytes:
    """What comes until the far side closes, one way or another."""
    reader, writer = stream
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_one_host_with_all_connections_keeps_nobody_else_out(
    opened: Callable[..., Any],
) -> None:
    endpoint = await opened(max_connections=3)
    taken = [await occupy(endpoint, number) for number in range(3)]
    async with stream_phone(endpoint.port) as phone:
        answer = await phone.ask(phone.compose("OPTIONS"))
        left = await rest_of(taken[0])
        one_more = await asyncio.open_connection(
            "127.0.0.1", endpoint.port, local_addr=(ELSEWHERE, 0)
        )
        refused = await rest_of(one_more)
        still = await phone.ask(phone.compose("OPTIONS"))
    ends = [reader.at_eof() for reader, _ in taken]
    for _, writer in taken:
        writer.close()

    assert (answer.status, still.status) == (200, 200)
    assert left == refused == b"" and ends[1:] == [False, False]


async def test_a_network_of_ipv6_counts_as_one_host() -> None:
    all_open = OpenConnections(3)
    wires = [Unread(f"2001:db8::{number}", 4000) for number in range(3)]
    held = [connection(all_open, wire) for wire in wires]
    other = Unread("2001:db8:1::1")
    connection(all_open, other)
    fourth = Unread("2001:db8::7")
    connection(all_open, fourth)

    assert [wire.is_over for wire in (*wires, other, fourth)] == [True, False, False, False, True]
    assert len(held) == 3


# ── messages ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.timeout(20)
@pytest.mark.parametrize("filling", [" ", "\t", " \t", "\r\n ", ",", ";", "<", '"', "\\"])
def test_no_line_takes_longer_than_its_length(filling: str) -> None:
    """Where it took the square of that, this would not come to its end."""
    line = filling * (200_000 // len(filling))
    text = f"OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP x{line}y\r\nTo: x{line}y\r\n\r\n"

    message = read_datagram(text.encode(), 2_000_000)
    assert isinstance(message, Request)
    with suppress(Malformed):
        message.read_via()
    with suppress(Malformed):
        Address.read(message.headers.first("to"))

    assert message.headers.first("to").startswith("x")


async def test_parts_within_parts_without_end_are_refused(phone: Phone, desk: Desk) -> None:
    part = "--x\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n"
    extra = "Content-Type: multipart/mixed;boundary=x\r\n"
    text = phone.compose("INVITE", extra=extra, body=part * 1200)
    refusal = await phone.ask(text)

    assert refusal.status == 415 and desk.invites == []


async def test_a_description_among_parts_of_parts_is_found(phone: Phone, desk: Desk) -> None:
    inner = f"--in\r\n{SDP_LINE}\r\n{SDP}\r\n--in--\r\n"
    body = (
        "a word before\r\n--out\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
        '--out \r\nContent-Type: multipart/mixed;\r\n boundary="in"\r\n\r\n'
        f"{inner}--out--\r\nafter"
    )
    extra = "Content-Type: multipart/related; boundary=out\r\n"
    answer = await phone.ask(phone.compose("INVITE", extra=extra, body=body))
    phone.far_tag = answer.to_tag
    await phone.ask(phone.compose("BYE", cseq=2))

    assert answer.status == 200 and desk.invites[0].offer == SDP


async def test_a_flood_of_calls_keeps_none_from_ending(
    phone: Phone, desk: Desk, endpoint: SipEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    await phone.call()
    call = await desk.call()
    monkeypatch.setattr("parley.transports.sip.transactions.MAX_TRANSACTIONS", 1)
    async with udp_phone(endpoint.port) as another:
        another.say(another.invite())
        goodbye = await phone.ask(phone.compose("BYE", cseq=2))

        assert goodbye.status == 200 and (await call.over).by == "far"
        assert another.heard() == [] and len(desk.invites) == 1


@pytest.mark.parametrize("key", ["1" * 5000, "16", "", "AB", "\u0665"])
def test_what_is_on_no_keypad_is_no_key(key: str) -> None:
    with pytest.raises(UnsupportedMedia):
        read_key(RELAY, f"Signal={key}")
