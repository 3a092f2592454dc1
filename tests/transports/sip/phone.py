"""A telephone made of one socket: it says exactly what a test has it say, at any moment."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import sipmessage

from parley.transports.sip.options import TlsFiles

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
SDP_LINE = "Content-Type: application/sdp\r\n"
# A proxy that tries two dead nodes first takes up to five.
PATIENCE_S = 10.0
T1_S = 0.02
"""Every time of the protocol follows from it: a dead peer is given up after 1.3 s."""


@dataclass(frozen=True)
class Seen:
    """A message that the telephone got; another library than ours has found it in order."""

    raw: bytes

    def __post_init__(self) -> None:
        message = sipmessage.Message.parse(self.raw)
        assert message.via and message.call_id and message.cseq
        assert message.from_address and message.to_address
        assert message.content_length == len(message.body)

    @property
    def text(self) -> str:
        return self.raw.decode()

    @property
    def start(self) -> str:
        return self.text.partition("\r\n")[0]

    @property
    def method(self) -> str:
        return "" if self.status else self.start.split()[0]

    @property
    def uri(self) -> str:
        return self.start.split()[1]

    @property
    def status(self) -> int:
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def body(self) -> str:
        return self.text.partition("\r\n\r\n")[2]

    def all(self, name: str) -> list[str]:
        lines = self.text.partition("\r\n\r\n")[0].split("\r\n")[1:]
        pairs = [line.partition(":") for line in lines]
        return [value.strip() for key, _, value in pairs if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def to_tag(self) -> str:
        return self.header("to").partition("tag=")[2]

    @property
    def cseq(self) -> int:
        return int(self.header("cseq").split()[0])


class Phone:
    """``host`` and ``port`` are its own, ``far`` is whom it speaks to."""

    def __init__(self) -> None:
        self.far = "127.0.0.1", 9
        self.host, self.port = "127.0.0.1", 0
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.call_id = secrets.token_hex(8)
        self.tag = secrets.token_hex(4)
        self.far_tag = ""
        self.carrier = "UDP"
        self.write: Callable[[bytes], None] = _nowhere
        self.close: Callable[[], None] = lambda: None

    # ── saying ───────────────────────────────────────────────────────────────────────────

    def say(self, text: str | bytes) -> None:
        self.write(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)

    def compose(
        self,
        method: str,
        *,
        cseq: int = 1,
        branch: str = "",
        uri: str = "sip:demo@127.0.0.1",
        extra: str = "",
        body: str = "",
        to_tag: str | None = None,
        contact: bool = True,
    ) -> str:
        """A request; within the call once the far side's tag is known."""
        tag = self.far_tag if to_tag is None else to_tag
        suffix = f";tag={tag}" if tag else ""
        branch = branch or f"z9hG4bK{secrets.token_hex(8)}"
        own = f"Contact: <sip:phone@{self.host}:{self.port}>\r\n" if contact else ""
        return (
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.carrier} {self.host}:{self.port};branch={branch};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:phone@127.0.0.1>;tag={self.tag}\r\n"
            f"To: <sip:demo@127.0.0.1>{suffix}\r\nCall-ID: {self.call_id}\r\n"
            f"CSeq: {cseq} {method}\r\n{own}{extra}"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
        )

    def invite(self, **changes: object) -> str:
        changes.setdefault("body", SDP)
        extra = str(changes.pop("extra", "")) + (SDP_LINE if changes["body"] else "")
        return self.compose("INVITE", extra=extra, **changes)  # type: ignore[arg-type]

    def reply(self, request: Seen, status: str, extra: str = "", body: str = "") -> None:
        """Answer a request of the endpoint's."""
        vias = "".join(f"Via: {value}\r\n" for value in request.all("via"))
        to = request.header("to")
        to += "" if "tag=" in to else f";tag={self.tag}"
        self.say(
            f"SIP/2.0 {status}\r\n{vias}From: {request.header('from')}\r\nTo: {to}\r\n"
            f"Call-ID: {request.header('call-id')}\r\nCSeq: {request.header('cseq')}\r\n"
            f"Contact: <sip:phone@{self.host}:{self.port}>\r\n{extra}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    # ── hearing ──────────────────────────────────────────────────────────────────────────

    async def hear(self, *wanted: int | str) -> Seen:
        """The next message of a wanted status or method; others are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                seen = Seen(await self.inbox.get())
                if not wanted or seen.status in wanted or seen.method in wanted:
                    return seen

    async def ask(self, text: str) -> Seen:
        """Say a request and hear its final answer; copies of other answers are passed over."""
        self.say(text)
        branch = text.partition("branch=")[2].partition(";")[0]
        async with asyncio.timeout(PATIENCE_S):
            while True:
                seen = Seen(await self.inbox.get())
                if seen.status >= 200 and f"branch={branch};" in seen.header("via"):
                    return seen

    def heard(self) -> list[Seen]:
        """What has come and wasn't asked for yet."""
        return [Seen(self.inbox.get_nowait()) for _ in range(self.inbox.qsize())]

    # ── calling ──────────────────────────────────────────────────────────────────────────

    async def call(self, **changes: object) -> Seen:
        """Call and acknowledge the answer."""
        self.say(self.invite(**changes))
        answer = await self.hear(200)
        self.far_tag = answer.to_tag
        self.acknowledge(answer)
        return answer

    def acknowledge(self, answer: Seen, body: str = "") -> None:
        extra = SDP_LINE if body else ""
        self.say(self.compose("ACK", cseq=answer.cseq, extra=extra, body=body))


def _nowhere(_: bytes) -> None:
    raise AssertionError("the telephone is not plugged in")


def _send(wire: asyncio.DatagramTransport, phone: Phone, data: bytes) -> None:
    wire.sendto(data, phone.far)


class _Inbox(asyncio.DatagramProtocol):
    def __init__(self, phone: Phone) -> None:
        self.phone = phone

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.phone.far = addr
        self.phone.inbox.put_nowait(data)


@asynccontextmanager
async def udp_phone(
    endpoint_port: int = 9, host: str = "127.0.0.1", kind: type[Phone] = Phone
) -> AsyncIterator[Phone]:
    """A telephone that speaks to an endpoint, and then to whoever spoke to it last."""
    phone = kind()
    phone.far = host, endpoint_port
    loop = asyncio.get_running_loop()
    wire, _ = await loop.create_datagram_endpoint(lambda: _Inbox(phone), (host, 0))
    name, phone.port, *_ = wire.get_extra_info("sockname")
    phone.host = f"[{name}]" if ":" in name else name
    phone.write = partial(_send, wire, phone)
    phone.close = wire.close
    try:
        yield phone
    finally:
        wire.close()


@asynccontextmanager
async def stream_phone(
    endpoint_port: int, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Phone]:
    """A telephone on a TCP or TLS connection."""
    phone = Phone()
    name = "localhost" if tls else None
    reader, writer = await asyncio.open_connection(
        host, endpoint_port, ssl=tls, server_hostname=name
    )
    phone.carrier = "TLS" if tls else "TCP"
    name, phone.port, *_ = writer.get_extra_info("sockname")
    phone.host = f"[{name}]" if ":" in name else name
    phone.write, phone.close = writer.write, writer.close
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(_read(reader, phone))
        try:
            yield phone
        finally:
            reading.cancel()
            writer.close()


@asynccontextmanager
async def called_phone(tls: TlsFiles | None = None) -> AsyncIterator[Phone]:
    """A telephone that takes a connection over TCP or TLS; ``port`` is where."""
    context = tls.for_listening() if tls else None
    phone = Phone()
    phone.carrier = "TLS" if tls else "TCP"

    taking: set[asyncio.Task[None] | None] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taking.add(asyncio.current_task())
        phone.write, phone.close = writer.write, writer.close
        await _read(reader, phone)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    phone.port = server.sockets[0].getsockname()[1]
    async with server:
        yield phone
    phone.close()
    await asyncio.gather(*filter(None, taking))


async def _read(reader: asyncio.StreamReader, phone: Phone) -> None:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            phone.inbox.put_nowait(b"")
            return
        length = int(head.lower().rpartition(b"content-length:")[2].split()[0])
        phone.inbox.put_nowait(head.lstrip(b"\r\n") + await reader.readexactly(length))
