"""Telephones that keep to the address and the route that the answer to their call named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.transports.sip.caller import PhoneCaller
from tests.transports.sip.phone import Phone, Seen, udp_phone
from tests.transports.sip.rtp.far_end import FarEnd


class RoutedPhone(Phone):
    """``callee`` is whom its To header names: OpenSIPS tells Parley of no request line."""

    callee = "demo"
    target = ""
    routes = ""

    def compose(
        self,
        method: str,
        *,
        uri: str = "sip:demo@127.0.0.1",
        extra: str = "",
        **rest: Any,
    ) -> str:
        if self.target:
            uri, extra = self.target, self.routes + extra
        said = super().compose(method, uri=uri, extra=extra, **rest)
        return said.replace("To: <sip:demo@", f"To: <sip:{self.callee}@", 1)

    def acknowledge(self, answer: Seen, body: str = "") -> None:
        if answer.status >= 300:
            # It belongs to the refused request, as one to an acceptance doesn't.
            branch = answer.header("via").partition("branch=")[2].partition(";")[0]
            self.say(self.compose("ACK", cseq=answer.cseq, branch=branch))
            return
        if not self.target:
            recorded = reversed(answer.all("record-route"))
            self.routes = "".join(f"Route: {route}\r\n" for route in recorded)
        self.target = answer.header("contact").partition("<")[2].partition(">")[0]
        super().acknowledge(answer, body)


@asynccontextmanager
async def routed_caller(port: int, callee: str = "demo") -> AsyncIterator[PhoneCaller]:
    """Somebody who calls ``callee``, whoever the request line names."""
    async with udp_phone(port, kind=RoutedPhone) as phone:
        assert isinstance(phone, RoutedPhone)
        phone.callee = callee
        caller = PhoneCaller(phone, await FarEnd().open())
        try:
            yield caller
        finally:
            await caller.close()


async def one_call(port: int) -> None:
    """Somebody calls, hears the agent and hangs up."""
    async with routed_caller(port) as caller:
        await caller.call()
        await caller.hear(10)
        caller.leave()
        assert (await caller.phone.hear(200)).header("cseq").endswith("BYE")
