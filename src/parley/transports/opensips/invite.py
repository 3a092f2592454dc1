"""A call that OpenSIPS holds for us and that hasn't been answered yet."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from parley.core.errors import CallNotLive, ConnectFailed
from parley.core.log import get_logger
from parley.transports.opensips.call import UaCall
from parley.transports.opensips.events import UaEvent
from parley.transports.opensips.interface import CommandRefused, InterfaceSilent, InterfaceTrouble
from parley.transports.opensips.options import Patience
from parley.transports.opensips.session import UaSession
from parley.transports.sip.addresses import Address, Carrier
from parley.transports.sip.bodies import sdp_of
from parley.transports.sip.crew import Crew
from parley.transports.sip.families import address_towards, sound_host
from parley.transports.sip.grammar import Malformed, printable
from parley.transports.sip.message import Headers, long_name
from parley.transports.sip.replies import ALLOW, Lines, reason_line, retry_line
from parley.transports.sip.ringing import Answered
from parley.transports.sip.who_answers import AGENT_HEADER, DIVERSION_HEADER, IDENTITY_HEADER

log = get_logger(__name__)

_TOLD = {AGENT_HEADER: "agent", IDENTITY_HEADER: "caller", DIVERSION_HEADER: "diverted"}


class UaInvite:
    """Somebody calls. Answer it once: with ``answer`` or with ``reject``.

    What OpenSIPS's script adds to a call (``extra_params``, a JSON object with ``agent``, or
    ``callee``, and ``caller`` and ``diverted``) is believed; the caller's own headers that say such
    things are not.
    ``holders`` is who gets the session's events.
    """

    is_trusted = True
    carrier: Carrier = "udp"

    def __init__(
        self,
        event: UaEvent,
        session: UaSession,
        crew: Crew,
        patience: Patience,
        source: tuple[str, int],
        holders: dict[str, UaInvite | UaCall],
    ) -> None:
        """Raises ``UnsupportedMedia``."""
        request = event.as_request()
        told = _read_extra(event.extra)
        self.offer = sdp_of(request)
        self.caller = _uri(request.headers, "from")
        self.callee_user, self.callee_host = _callee(request.headers, told)
        self.dialled_user, self.dialled_host = self.callee_user, self.callee_host
        self.headers: Mapping[str, str] = _headers(request.headers, told)
        self.source = source
        contact = _address(request.headers, "contact")
        self._contact = contact.uri.host if contact else ""
        self.is_answered = False
        self._session = session
        self._crew = crew
        self._patience = patience
        self._holders = holders
        self._ringing: asyncio.Task[None] | None = None
        holders[session.key] = self

    @property
    def own_host(self) -> str:
        """The address that this machine has towards where the caller's sound comes from."""
        hosts = (sound_host(self.offer), self._contact, self.source[0])
        return next((ours for host in hosts if (ours := address_towards(host))), "")

    def ring(self) -> None:
        """Let the caller hear that somebody is being called."""
        if not self.is_answered:
            self._ringing = self._crew.spawn(self._ring(), "opensips:ring")

    async def _ring(self) -> None:
        try:
            await self._session.reply("INVITE", 180)
        except InterfaceTrouble as error:
            log.info("opensips_rings_not", key=self._session.key, why=str(error))

    async def answer(self, sdp: str, prepare: Callable[[Answered], None]) -> UaCall:
        """Take the call with our answer, or our offer where there was none.

        ``prepare`` gets the call before the caller can say anything in it. Raises ``CallNotLive``
        where the caller has gone, and ``ConnectFailed`` where OpenSIPS doesn't answer.
        """
        if self.is_answered:
            raise CallNotLive("The caller hung up before the answer.")
        self.is_answered = True
        call = UaCall(self._session, self._crew, self._patience, self.offer, self._forget)
        self._holders[self._session.key] = call
        prepare(call)
        if self._ringing is not None:
            await asyncio.wait([self._ringing])
        try:
            await self._session.reply("INVITE", 200, sdp=sdp, lines=[ALLOW])
        except CommandRefused as error:
            raise CallNotLive(f"OpenSIPS has no such call any more ({error}).") from error
        except InterfaceSilent as error:
            raise ConnectFailed(
                f"The call couldn't be answered: {error}.", hint="Look at OpenSIPS, and at MI_IP."
            ) from error
        if not self.offer:
            call.remote_sdp = await call.acked()
        if call.over.done():
            raise CallNotLive("The caller hung up as the call was answered.")
        return call

    def reject(
        self, status: int, reason: str = "", retry_after_s: float = 0, more: Lines = ()
    ) -> None:
        """Refuse the call; ``reason`` is told in a Reason header, and ``more`` are others."""
        if self.is_answered:
            return
        self.is_answered = True
        lines = [*reason_line(status, reason), *retry_line(retry_after_s), *more]
        self._crew.spawn(self._refuse(status, lines), "opensips:refuse")

    async def _refuse(self, status: int, lines: list[tuple[str, str]]) -> None:
        try:
            await self._session.refuse(status, lines=lines)
        finally:
            self._forget(self._session.key)

    def take(self, event: UaEvent) -> None:
        """Whatever OpenSIPS tells of the call meanwhile."""
        if event.kind == "TERMINATED" and event.method == "CANCEL":
            # OpenSIPS has answered the CANCEL; the INVITE is ours to answer.
            self.reject(487)
        elif event.kind == "TERMINATED":
            # It was hung up before it was answered, and OpenSIPS has forgotten it.
            self.is_answered = True
            self._forget(self._session.key)

    async def bye(self, reason: str = "") -> None:
        """We are going down."""
        if not self.is_answered:
            self.is_answered = True
            await self._refuse(503, [*reason_line(503, reason), *retry_line(5)])

    def _forget(self, key: str) -> None:
        self._holders.pop(key, None)


def _read_extra(text: str) -> dict[str, Any]:
    """What OpenSIPS's script says of the call."""
    if not text.strip():
        return {}
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        log.warning("opensips_extra_params_unreadable", hint='Pass JSON: {"agent": "receptionist"}')
        return {}
    return cast("dict[str, Any]", found)


def _headers(headers: Headers, told: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = long_name(name), printable(value)
        found[key] = f"{found[key]}, {text}" if key in found else text
    for key, word in _TOLD.items():
        found.pop(key, None)
        if isinstance(value := told.get(word), str) and value:
            found[key] = printable(value)
    return found


def _address(headers: Headers, name: str) -> Address | None:
    try:
        return Address.read(headers.first(name))
    except Malformed:
        return None


def _uri(headers: Headers, name: str) -> str:
    found = _address(headers, name)
    return printable(str(found.uri)) if found else ""


def _callee(headers: Headers, told: dict[str, Any]) -> tuple[str, str]:
    """Who is called, and where; "" where the script names the agent itself. Events have no request
    line: where a number was changed on its way, only the script knows what it became."""
    if told.get("agent"):
        return "", ""
    found = _address(headers, "to")
    host = found.uri.host if found else ""
    if isinstance(callee := told.get("callee"), str):
        return printable(callee), host
    return printable(found.uri.user) if found else "", host
