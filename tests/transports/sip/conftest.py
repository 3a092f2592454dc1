"""Endpoints that clean up after themselves, and somebody to answer at them."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from parley.session.turns import Listening
from parley.transports.sip.call import SipDialog
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.incoming import IncomingInvite
from parley.transports.sip.options import SipOptions, TlsFiles
from tests.transports.sip.caller import PhoneCaller, phone_caller
from tests.transports.sip.listening_board import no_task_left
from tests.transports.sip.phone import SDP, T1_S, Phone, udp_phone
from tests.transports.sip.switchboard import Switchboard, switchboard


class Desk:
    """Takes every call with the same description, and remembers what it saw."""

    def __init__(self) -> None:
        self.invites: list[IncomingInvite] = []
        self.calls: asyncio.Queue[SipDialog] = asyncio.Queue()
        self.offers: list[str] = []
        self.infos: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.answer = SDP
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def take(self, invite: IncomingInvite) -> None:
        self.invites.append(invite)
        invite.ring()
        if not self.is_open.is_set():
            opened = asyncio.ensure_future(self.is_open.wait())
            try:
                await asyncio.wait([opened, invite.cancelled], return_when=asyncio.FIRST_COMPLETED)
            finally:
                opened.cancel()
            if invite.cancelled.done():
                return
        call = await invite.answer(self.answer, self.prepare)
        self.calls.put_nowait(call)

    async def call(self) -> SipDialog:
        """The next call that is answered."""
        async with asyncio.timeout(10):
            return await self.calls.get()

    def prepare(self, call: SipDialog) -> None:
        call.on_reinvite = self.change
        call.on_info = self.hear

    async def change(self, offer: str) -> str:
        self.offers.append(offer)
        return self.answer

    async def hear(self, kind: str, body: str) -> None:
        self.infos.put_nowait((kind, body))


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def opened(desk: Desk) -> AsyncIterator[Callable[..., Any]]:
    """Opens endpoints on free ports; none may leave a task behind."""
    async with no_task_left(), AsyncExitStack() as stack:

        async def open_one(on_invite: Any = None, **options: Any) -> SipEndpoint:
            chosen = SipOptions(**{"port": 0, "t1_s": T1_S, "closing_s": 1.0, **options})
            endpoint = SipEndpoint(chosen, on_invite or desk.take)
            return await stack.enter_async_context(endpoint)

        yield open_one


@pytest.fixture
async def endpoint(opened: Callable[..., Any]) -> SipEndpoint:
    return await opened()


@pytest.fixture
async def phone(endpoint: SipEndpoint) -> AsyncIterator[Phone]:
    async with udp_phone(endpoint.port) as phone:
        yield phone


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A certificate that vouches for itself."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = TlsFiles(folder / "cert.pem", folder / "key.pem", folder / "cert.pem")
    assert files.certificate and files.key
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


@pytest.fixture
async def board(listening: Listening) -> AsyncIterator[Switchboard]:
    async with switchboard(listening) as board:
        yield board


@pytest.fixture
async def caller(board: Switchboard) -> AsyncIterator[PhoneCaller]:
    async with phone_caller(board.telephone.endpoint.port) as caller:
        yield caller
