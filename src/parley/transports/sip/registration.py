"""Being an extension of a PBX: registering there, staying registered, signing off."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import quote

from parley.core.errors import ConnectFailed
from parley.core.log import get_logger
from parley.transports.sip.addresses import USER_MARKS, Address, SipUri, write_host
from parley.transports.sip.dialog import MAX_FORWARDS, new_call_id, new_tag
from parley.transports.sip.door import Door
from parley.transports.sip.grammar import Malformed, read_number
from parley.transports.sip.line import Line
from parley.transports.sip.message import Headers, Request, Response
from parley.transports.sip.replies import ALLOW
from parley.transports.sip.sockets import Flow

log = get_logger(__name__)

LONGEST_WAIT_S = 300.0

_PASSWORD = "Are PARLEY_SIP_USERNAME and PARLEY_SIP_PASSWORD those of the extension?"
_HINTS = {
    401: _PASSWORD,
    403: _PASSWORD,
    404: "Does the PBX have the extension PARLEY_SIP_USERNAME?",
    407: _PASSWORD,
    408: "Nobody answers: is PARLEY_SIP_REGISTRAR right, and does a firewall let SIP through?",
    503: "Is PARLEY_SIP_REGISTRAR right, and the PBX running?",
}


class Registration:
    """Keeps us registered for as long as ``keep`` runs. ``is_registered`` says how it stands."""

    def __init__(self, line: Line, door: Door) -> None:
        account = line.options.account
        self.is_registered = asyncio.Event()
        self.last_status = 0
        self._line = line
        self._door = door
        self._registrar = SipUri.read(account.registrar)
        self._wanted_s = account.refresh_s
        self._call_id = new_call_id()
        self._tag = new_tag()
        self._seq = 0
        self._flow: Flow | None = None
        self._is_stopping = False
        self._woken = asyncio.Event()
        line.sockets.on_lost.append(self._note_loss)

    @property
    def address(self) -> str:
        """Our address of record: the extension at its PBX."""
        return address_of_record(self._registrar, self._line.options.account.username)

    async def keep(self) -> None:
        first_wait_s = wait_s = self._line.options.account.retry_s
        while not self._is_stopping:
            response = await self._register(self._wanted_s)
            if response.is_success:
                granted_s = self._granted_s(response)
                self._note(response)
                # Well before the end: the next try may need another.
                if await self._rest(granted_s * 0.8 if granted_s > 60 else granted_s * 0.5):
                    wait_s = first_wait_s
                else:
                    # A PBX that hangs up each time isn't asked each time.
                    await self._rest(wait_s)
                    wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            elif response.status == 423 and self._raise_wish(response):
                continue
            else:
                self._note(response)
                await self._rest(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def stop(self) -> None:
        """Sign off, so that no call is sent here any more."""
        self._is_stopping = True
        self._woken.set()
        if self.is_registered.is_set():
            self.is_registered.clear()
            await self._register(0)

    async def _rest(self, seconds: float) -> bool:
        """Whether nothing came up meanwhile: a lost connection, or our end."""
        if self._is_stopping:
            return False
        self._woken.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return True
        return False

    def _note_loss(self, flow: Flow) -> None:
        """The PBX is gone, or has forgotten us with the connection that it called us by."""
        if flow is self._flow and self.is_registered.is_set():
            log.info("sip_registration_lost", registrar=self._registrar.text)
            self.is_registered.clear()
            self.last_status = 0
            self._woken.set()

    def _note(self, response: Response) -> None:
        is_new = response.status != self.last_status
        self.last_status = response.status
        if response.is_success:
            self.is_registered.set()
        else:
            self.is_registered.clear()
        if is_new and response.is_success:
            log.info("sip_registered", registrar=self._registrar.text)
        elif is_new:
            log.warning(
                "sip_registration_failed",
                registrar=self._registrar.text,
                status=response.status,
                why=response.phrase,
                hint=_HINTS.get(response.status, ""),
            )

    def _raise_wish(self, response: Response) -> bool:
        try:
            least_s = read_number(response.headers.first("min-expires"))
        except Malformed:
            return False
        if least_s <= self._wanted_s:
            return False
        self._wanted_s = least_s
        return True

    def _granted_s(self, response: Response) -> float:
        """How long the PBX will remember us: what it says of our contact, or of all."""
        said = response.headers.first("expires")
        for text in response.headers.listed("contact"):
            with suppress(Malformed):
                contact = Address.read(text)
                if contact.uri.user == self._line.options.account.username:
                    said = contact.parameters.get("expires", said)
        try:
            return max(read_number(said), self._line.options.account.least_s)
        except Malformed:
            return self._wanted_s

    async def _register(self, expires_s: int) -> Response:
        extra: list[tuple[str, str]] = []
        for is_last in (False, True):
            try:
                flow = await self._line.transactions.flow_to(self._registrar.hop)
                self._door.registrars.add(flow.host)
                contact = self._line.contact(flow, self._line.options.account.username)
                request = self._request(contact, expires_s, extra)
                self._flow = flow
                transaction = await self._line.transactions.send(request, flow)
            except ConnectFailed as error:
                return Response(status=503, phrase=error.message)
            response = await asyncio.shield(transaction.final)
            proof = self._line.proof(request, response)
            if is_last or proof is None:
                return response
            extra = [proof]
        raise AssertionError("unreachable")

    def _request(self, contact: str, expires_s: int, extra: list[tuple[str, str]]) -> Request:
        self._seq += 1
        lines = [
            MAX_FORWARDS,
            ("From", f"<{self.address}>;tag={self._tag}"),
            ("To", f"<{self.address}>"),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._seq} REGISTER"),
            ("Contact", contact),
            ("Expires", str(expires_s)),
            ALLOW,
            *extra,
        ]
        port = f":{self._registrar.port}" if self._registrar.port else ""
        uri = f"{self._registrar.scheme}:{write_host(self._registrar.host)}{port}"
        return Request(Headers(lines), b"", "REGISTER", uri)


def address_of_record(registrar: SipUri, username: str) -> str:
    """``sip:extension@pbx``."""
    name = quote(username, safe=USER_MARKS)
    return f"{registrar.scheme}:{name}@{write_host(registrar.host)}"
