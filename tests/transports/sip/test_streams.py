"""SIP over TCP and TLS: messages in pieces and in heaps, and connections that misbehave."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parley.core.errors import BadSettings
from parley.transports.sip.call import SipDialog
from parley.transports.sip.ending import Ending
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.framing import Framer
from parley.transports.sip.grammar import Malformed
from parley.transports.sip.options import TlsFiles
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import SDP, Phone, stream_phone


@pytest.fixture
async def phone(endpoint: SipEndpoint) -> AsyncIterator[Phone]:
    async with stream_phone(endpoint.port) as phone:
        yield phone


# ── framing ──────────────────────────────────────────────────────────────────────────────────

MESSAGE = b"OPTIONS sip:a@b SIP/2.0\r\nTo: x\r\nContent-Length: %d\r\n\r\n%s"
HEAP = (
    MESSAGE % (0, b"") + b"\r\n\r\n" + MESSAGE % (4, b"\r\n\r\n") + b"\r\n" + MESSAGE % (2, b"ab")
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_however_a_stream_is_cut_the_messages_are_the_same(size: int) -> None:
    framer = Framer(1000, 1000)

    found = [
        message.body
        for start in range(0, len(HEAP), size)
        for message in framer.feed(HEAP[start : start + size])
    ]

    assert found == [b"", b"\r\n\r\n", b"ab"]
    assert framer.pings == 1 and framer.is_between


@pytest.mark.parametrize(
    "stream",
    [
        b"x" * 2000,
        b"OPTIONS sip:a@b SIP/2.0\r\nTo: x\r\n\r\n",
        MESSAGE % (2000, b""),
        MESSAGE.replace(b"%d", b"-1") % b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 150 + b"\r\n",
    ],
)
def test_a_stream_that_can_not_be_followed_is_given_up(stream: bytes) -> None:
    with pytest.raises(Malformed):
        list(Framer(500, 1000).feed(stream))


# ── TCP ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_call_by_tcp_goes_both_ways_on_one_connection(
    phone: Phone, desk: Desk, endpoint: SipEndpoint
) -> None:
    answer = await phone.call()
    call = await desk.call()
    hanging_up = asyncio.ensure_future(call.bye())
    phone.reply(await phone.hear("BYE"), "200 OK")
    await hanging_up

    assert desk.invites[0].carrier == "tcp"
    assert answer.header("contact") == f"<sip:parley@127.0.0.1:{endpoint.port};transport=tcp>"


async def test_pieces_and_heaps_are_read_alike(phone: Phone, desk: Desk) -> None:
    invite = phone.invite(body=SDP + "a=x:L\xf6w\r\n").encode()
    for position in range(0, len(invite), 97):
        phone.say(invite[position : position + 97])
        await asyncio.sleep(0)
    answer = await phone.hear(200)
    phone.far_tag = answer.to_tag
    kind = "Content-Type: application/dtmf-relay\r\n"
    ack = phone.compose("ACK")
    infos = [phone.compose("INFO", cseq=n, extra=kind, body=f"Signal={n}") for n in (2, 3)]
    phone.say(ack + "\r\n\r\n" + "".join(infos) + phone.compose("BYE", cseq=4))
    taken: set[str] = set()
    while len(taken) < 3:
        taken |= {(await phone.hear(200)).header("cseq")} - {"1 INVITE"}

    assert "L\xf6w" in desk.invites[0].offer
    assert taken == {"2 INFO", "3 INFO", "4 BYE"}


async def test_a_ping_is_answered(endpoint: SipEndpoint) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    writer.write(b"\r\n\r\n")
    answer = await reader.readexactly(2)
    writer.close()

    assert answer == b"\r\n"


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" * 9000])
async def test_who_speaks_something_else_is_hung_up_on(endpoint: SipEndpoint, junk: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    writer.write(junk)
    try:
        left = await reader.read()
    except ConnectionError:
        left = b""
    writer.close()

    assert left == b""


async def test_half_a_message_is_not_waited_for_long(opened) -> None:
    endpoint = await opened(half_message_s=0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    writer.write(b"OPTIONS sip:a@b SIP/2.0\r\nVia")

    assert await reader.read() == b""
    writer.close()


async def test_connections_have_their_limit(opened) -> None:
    endpoint = await opened(max_connections=1)
    async with stream_phone(endpoint.port) as phone:
        phone.say(phone.compose("OPTIONS"))
        await phone.hear(200)
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        try:
            refused = await reader.read()
        except ConnectionError:
            refused = b""
        writer.close()
        phone.say(phone.compose("OPTIONS"))

        assert refused == b"" and (await phone.hear(200)).status == 200


async def test_an_answer_finds_another_way_when_its_connection_is_gone(
    endpoint: SipEndpoint, desk: Desk
) -> None:
    desk.is_open.clear()
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    server = await asyncio.start_server(_Listener(heard), "127.0.0.1", 0)
    async with stream_phone(endpoint.port) as phone:
        phone.port = server.sockets[0].getsockname()[1]
        phone.say(phone.invite())
        await phone.hear(180)
    desk.is_open.set()
    async with asyncio.timeout(5):
        data = await heard.get()
    server.close()
    await server.wait_closed()

    assert data.startswith(b"SIP/2.0 200 OK")


class _Listener:
    def __init__(self, heard: asyncio.Queue[bytes]) -> None:
        self.heard = heard

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.put_nowait(await reader.read(65_536))
        writer.close()


async def test_a_call_goes_out_by_tcp(opened, desk: Desk) -> None:
    here, there = await opened(), await opened()
    target = f"sip:demo@127.0.0.1:{there.port};transport=tcp"
    call = await here.call(target, SDP).result()
    theirs = await desk.call()
    assert isinstance(call, SipDialog)
    await theirs.bye("enough")

    assert await call.over == Ending("far", "enough")


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_call_comes_in_by_tls(opened, desk: Desk, tls: TlsFiles) -> None:
    endpoint = await opened(tls=tls, tls_port=0)
    trusting = ssl.create_default_context(cafile=tls.certificate)
    async with stream_phone(endpoint.tls_port, trusting) as phone:
        answer = await phone.call()
        call = await desk.call()
        hanging_up = asyncio.ensure_future(call.bye())
        phone.reply(await phone.hear("BYE"), "200 OK")
        await hanging_up

    assert desk.invites[0].carrier == "tls"
    assert answer.header("contact").endswith(f":{endpoint.tls_port};transport=tls>")


@pytest.mark.parametrize("trusts", [True, False])
async def test_a_call_goes_out_by_tls_to_whom_we_trust(
    opened, desk: Desk, tls: TlsFiles, trusts: bool
) -> None:
    there = await opened(tls=tls, tls_port=0)
    here = await opened(tls=TlsFiles(authorities=tls.authorities) if trusts else TlsFiles())
    target = f"sip:demo@localhost:{there.tls_port};transport=tls"
    result = await here.call(target, SDP).result()

    assert isinstance(result, SipDialog) is trusts
    assert trusts or "can't be reached over TLS" in result.reason


async def test_a_certificate_that_is_none_stops_the_start(opened, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")

    with pytest.raises(BadSettings, match="PARLEY_SIP_TLS_CERT"):
        await opened(tls=TlsFiles(wrong))


async def test_a_port_that_is_taken_stops_the_start(opened, endpoint: SipEndpoint) -> None:
    with pytest.raises(BadSettings, match="PARLEY_SIP_PORT"):
        await opened(port=endpoint.port)


async def test_who_says_nothing_holds_no_place(opened) -> None:
    endpoint = await opened(half_message_s=0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    writer.write(b"\r\n\r\n")

    assert await reader.read() == b"\r\n"
    writer.close()
