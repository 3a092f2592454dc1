"""Calls people and puts an agent on the line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from parley.core.call import CallInfo
from parley.core.errors import ConnectFailed, InvalidValue
from parley.core.log import get_logger
from parley.session.control import SessionControl
from parley.session.dialling import Dial
from parley.session.host import Place
from parley.session.media import CallMedia
from parley.session.terms import AS_THE_AGENT_IS, CallTerms
from parley.transports.sip.addresses import Carrier
from parley.transports.sip.agreement import Secrecy
from parley.transports.sip.answering_machine import AnsweringMachine
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.outgoing import Dialling
from parley.transports.sip.outgoing_media import OutgoingMedia
from parley.transports.sip.phone_media import PhoneMedia
from parley.transports.sip.rtp.line import LineListener, PhoneLine
from parley.transports.webrtc.microphone import CALLER_RATE_HZ

log = get_logger(__name__)


class OutHost(Protocol):
    """What calls that go out need of the session: ``SessionHost`` is one."""

    def admit(self, call: CallInfo) -> Place: ...

    def start(
        self, place: Place, media: CallMedia, terms: CallTerms = AS_THE_AGENT_IS
    ) -> SessionControl: ...


MakeLine = Callable[[str, Carrier, LineListener], PhoneLine]
"""Makes a line, given the address that the far side is told and what the signalling goes over."""


class Dialler:
    """``open`` has the calls that hold a line; ``secrecy`` is whether they are encrypted."""

    def __init__(
        self,
        host: OutHost,
        endpoint: SipEndpoint,
        make_line: MakeLine,
        open: set[PhoneMedia],
        secrecy: Secrecy = "off",
    ) -> None:
        self._host = host
        self._endpoint = endpoint
        self._make_line = make_line
        self._open = open
        self._secrecy: Secrecy = secrecy

    async def dial(self, wish: Dial) -> CallInfo:
        """Begin to call. Whether anybody answers is told by the call's events.

        Raises ``InvalidValue``, and what ``SessionHost.admit`` and ``Place.reserve`` raise.
        """
        dialling = self._endpoint.dialling(
            wish.target,
            caller=wish.caller,
            caller_name=wish.caller_name,
            headers=tuple(wish.headers.items()),
            ring_limit_s=wish.ring_limit_s,
        )
        is_private = dialling.hop.carrier == "tls"
        if self._secrecy == "required" and not is_private:
            raise InvalidValue(
                f"{dialling.target} isn't called over TLS, and PARLEY_SIP_SRTP=required.",
                hint="Name a target like sips:100@pbx.example.org.",
                param="target",
            )
        call = CallInfo(
            agent=wish.agent,
            transport="sip",
            tenant=wish.tenant,
            direction="outbound",
            caller=dialling.caller,
            callee=dialling.target,
        )
        place = self._host.admit(call)
        try:
            await place.reserve()
            own_host = await self._own_host(dialling)
            make_line = partial(self._make_line, own_host, dialling.hop.carrier)
            media = self._media(place.call.id, make_line, wish)
        except BaseException:
            place.release()
            raise
        # Nothing waits from here on: who has the line also has the session that will free it.
        media.dial(
            partial(self._endpoint.place_call, dialling),
            may_be_open=is_private and self._secrecy == "allowed",
        )
        log.info("sip_calling", call_id=place.call.id)
        self._host.start(place, media, CallTerms(opening=wish.opening))
        return place.call

    def _media(
        self, call_id: str, make_line: Callable[[LineListener], PhoneLine], wish: Dial
    ) -> OutgoingMedia:
        """Raises ``CallLimitReached``."""
        on_machine = wish.opening.on_machine
        media = OutgoingMedia(
            call_id,
            make_line,
            self._open.discard,
            AnsweringMachine(CALLER_RATE_HZ) if on_machine != "ignore" else None,
            leaves_message=on_machine == "leave_message",
        )
        self._open.add(media)
        return media

    async def _own_host(self, dialling: Dialling) -> str:
        try:
            return await self._endpoint.own_host_towards(dialling.hop)
        except ConnectFailed:
            # The call will fail for the same reason, and is told of as every other.
            return self._endpoint.usual_host
