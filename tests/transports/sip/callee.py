"""Somebody who is called: their telephone rings, and they take the call, or don't."""

from __future__ import annotations

import asyncio

from tests.transports.sip.caller import PhoneCaller
from tests.transports.sip.phone import SDP_LINE, Seen
from tests.transports.sip.rtp.far_end import sdp

# Whoever calls may be a program that has to start first.
PATIENCE_S = 60.0
EVENTS = ("a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15")


class Callee:
    """Answers with a ``PhoneCaller``, which speaks and listens from then on."""

    def __init__(self, caller: PhoneCaller) -> None:
        self.caller = caller
        self.phone = caller.phone

    @property
    def address(self) -> str:
        return f"sip:bob@{self.phone.host}:{self.phone.port}"

    async def ring(self) -> Seen:
        """The call that comes."""
        async with asyncio.timeout(PATIENCE_S):
            while (invite := Seen(await self.phone.inbox.get())).method != "INVITE":
                pass
        self.phone.reply(invite, "180 Ringing")
        return invite

    async def answer(self, direction: str = "") -> Seen:
        invite = await self.ring()
        self.phone.call_id = invite.header("call-id")
        self.phone.far_tag = invite.header("from").partition("tag=")[2]
        lines = (*EVENTS, *((f"a={direction}",) if direction else ()))
        sound = self.caller.sound
        body = sdp(sound.port, formats="0 101", lines=lines, host=sound.host)
        self.phone.reply(invite, "200 OK", SDP_LINE, body)
        await self.phone.hear("ACK")
        self.caller.begin(invite.body)
        return invite

    async def refuse(self, status: str) -> Seen:
        invite = await self.ring()
        self.phone.reply(invite, status)
        await self.phone.hear("ACK")
        return invite
