"""A call that was answered through OpenSIPS: what may be done to it, and what the far side does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Literal

from parley.core.errors import (
    CallNotLive,
    FarSideRefused,
    NotSupported,
    ParleyError,
    UnsupportedMedia,
)
from parley.core.log import get_logger
from parley.transports.opensips.events import UaEvent
from parley.transports.opensips.interface import InterfaceTrouble
from parley.transports.opensips.options import Patience
from parley.transports.opensips.session import Lines, UaSession
from parley.transports.sip.bodies import content_type, sdp_of
from parley.transports.sip.call import CHANGE_TRIES
from parley.transports.sip.callbacks import changes_nothing, knows_no_type, wants_nothing
from parley.transports.sip.crew import Crew
from parley.transports.sip.ending import Ending
from parley.transports.sip.info_keys import PLAIN, RELAY
from parley.transports.sip.replies import UNSERVED, reason_line
from parley.transports.sip.transfer import Transfer

log = get_logger(__name__)

MAX_CHANGES = 3


class UaCall:
    """``SipDialog``'s twin where OpenSIPS does the signalling: the same callbacks, the same words.

    ``on_over`` is called once, when OpenSIPS has no more to say of the call.
    """

    def __init__(
        self,
        session: UaSession,
        crew: Crew,
        patience: Patience,
        remote_sdp: str,
        on_over: Callable[[str], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.remote_sdp = remote_sdp
        self.over: asyncio.Future[Ending] = loop.create_future()
        self.on_reinvite: Callable[[str], Awaitable[str]] = changes_nothing
        self.on_answer: Callable[[str], Awaitable[None]] = wants_nothing
        self.on_info: Callable[[str, str], Awaitable[None]] = knows_no_type
        self._session = session
        self._crew = crew
        self._patience = patience
        self._on_over = on_over
        self._acked: asyncio.Future[str] = loop.create_future()
        self._asked: dict[str, asyncio.Future[UaEvent]] = {}
        self._own_change = asyncio.Lock()
        self._their_change = asyncio.Lock()
        self._changes = 0
        self._waits_for_answer = False
        self._transfer: Transfer | None = None
        self._saying_bye: asyncio.Task[None] | None = None

    # ── what we do ───────────────────────────────────────────────────────────────────────

    async def bye(self, reason: str = "") -> None:
        """End the call; returns when OpenSIPS knows, or can't be told. May be repeated."""
        if not self.over.done():
            self.over.set_result(Ending("us", reason))
            self._saying_bye = self._crew.spawn(self._say_bye(), "opensips:bye")
        if self._saying_bye is not None:
            # It is the gateway's to end; whoever waits for it only stops waiting then.
            await asyncio.wait([self._saying_bye])

    async def _say_bye(self) -> None:
        try:
            await self._session.terminate()
        finally:
            self._on_over(self._session.key)

    async def refer(self, target: str) -> int:
        """Ask the far side to call ``target`` instead; the status that it came to there."""
        transfer = self._transfer = Transfer(target)
        event = await self._ask("REFER", lines=[("Refer-To", f"<{transfer.target}>")])
        if event.kind != "ANSWERED":
            return event.status
        return await transfer.outcome(self.over, self._patience.transfer_s)

    async def send_info(self, content_type: str, body: str) -> int:
        """Send an INFO; the status of its answer."""
        return (await self._ask("INFO", body=body, kind=content_type)).status

    async def reinvite(self, offer: Callable[[], str]) -> str:
        """As ``SipDialog`` does."""
        async with self._own_change:
            event = await self._ask("INVITE", body=offer())
            for _ in range(CHANGE_TRIES - 1):
                if event.status != 491:
                    break
                # Both sides wanted a change at the same moment; the caller, who isn't us, waits for
                # longer (RFC 3261, 14.1).
                await asyncio.sleep(random.uniform(0.0, 2.0))
                event = await self._ask("INVITE", body=offer())
        self._require_live()
        if event.kind != "ANSWERED":
            why = f"{event.status} {event.reason}".strip()
            raise FarSideRefused(f"The far side refused to change the call: {why}.")
        self.remote_sdp = sdp_of(event.as_request())
        return self.remote_sdp

    async def _ask(
        self, method: str, *, body: str = "", kind: str = "", lines: Lines = ()
    ) -> UaEvent:
        """Send a request within the call and wait for its answer; nobody answering is 408."""
        self._require_live()
        if method in self._asked:
            raise NotSupported(f"The far side hasn't answered the last {method} yet.")
        answer = self._asked[method] = asyncio.get_running_loop().create_future()
        try:
            await self._session.update(method, body=body, kind=kind, lines=lines)
            await asyncio.wait(
                [answer, self.over],
                timeout=self._patience.change_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        except InterfaceTrouble as error:
            raise NotSupported(f"OpenSIPS can't do that: {error}.") from error
        finally:
            del self._asked[method]
        self._require_live()
        event = answer.result() if answer.done() else UaEvent("", "REJECTED", method, 408)
        if event.status in (408, 481):
            # A far side that knows of no call, or doesn't answer, has none any more.
            self.lose(f"{event.status} to {method}")
        return event

    def _require_live(self) -> None:
        if self.over.done():
            raise CallNotLive("The call is over.")

    def lose(self, why: str) -> None:
        """There is nobody at the other end any more; OpenSIPS need not keep it either."""
        if not self.over.done():
            self.over.set_result(Ending("lost", why))
            self._saying_bye = self._crew.spawn(self._say_bye(), "opensips:bye")

    async def acked(self) -> str:
        """The description that came with the ACK to our offer. Raises ``CallNotLive``."""
        await asyncio.wait(
            [self._acked, self.over],
            timeout=self._patience.ack_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not self._acked.done():
            raise CallNotLive(
                'Our offer was never answered: is there an "a" among the flags of '
                "ua_session_server_init?"
            )
        return self._acked.result()

    # ── what the far side does ───────────────────────────────────────────────────────────

    def take(self, event: UaEvent) -> None:
        """Whatever OpenSIPS tells of this call."""
        if event.kind == "TERMINATED":
            self._take_end(event)
        elif event.kind in ("ANSWERED", "REJECTED"):
            waiting = self._asked.get(event.method)
            if waiting is not None and not waiting.done():
                waiting.set_result(event)
        elif event.kind == "UPDATED" and not self.over.done():
            self._take_request(event)

    def _take_end(self, event: UaEvent) -> None:
        if event.method == "CANCEL":
            # It crossed our answer, and the caller wants no call.
            self._end("far", "cancelled", is_forgotten=False)
        else:
            self._end("far", "", is_forgotten=True)

    def _end(self, by: Literal["far", "lost"], reason: str, *, is_forgotten: bool) -> None:
        if self.over.done():
            return
        self.over.set_result(Ending(by, reason))
        if is_forgotten:
            self._on_over(self._session.key)
        else:
            self._saying_bye = self._crew.spawn(self._say_bye(), "opensips:bye")

    def _take_request(self, event: UaEvent) -> None:
        match event.method:
            case "ACK":
                self._take_ack(event)
            case "INVITE" | "UPDATE":
                self._take_change(event)
            case "INFO":
                self._crew.spawn(self._take_info(event), "opensips:info")
            case "NOTIFY" if self._transfer is not None:
                self._transfer.take(event.as_request())
                self._answer(event, 200)
            case "NOTIFY":
                self._answer(event, 481)
            case "OPTIONS":
                self._answer(event, 200)
            case _:
                self._answer(event, 405 if event.method in UNSERVED else 501)

    def _take_ack(self, event: UaEvent) -> None:
        if not self._acked.done():
            self._acked.set_result(event.body)
        elif self._waits_for_answer and event.body:
            self._waits_for_answer = False
            self.remote_sdp = event.body
            self._crew.spawn(self._hear_answer(event.body), "opensips:late-answer")

    async def _hear_answer(self, sdp: str) -> None:
        await self.on_answer(sdp)

    def _take_change(self, event: UaEvent) -> None:
        ours = self._asked.get("INVITE")
        if ours is not None and not ours.done():
            self._answer(event, 491)
        elif self._changes < MAX_CHANGES:
            self._changes += 1
            self._crew.spawn(self._change_in_turn(event), "opensips:change")
        else:
            self._answer(event, 500, [("Retry-After", str(random.randint(1, 10)))])

    async def _change_in_turn(self, event: UaEvent) -> None:
        """The next change may be told of before OpenSIPS has said that the last was answered."""
        try:
            async with self._their_change:
                await self._change(event)
        finally:
            self._changes -= 1

    async def _change(self, event: UaEvent) -> None:
        """Answer a re-INVITE or an UPDATE."""
        try:
            offer = sdp_of(event.as_request())
            wants_offer = not offer and event.method == "INVITE"
            ours = await self.on_reinvite(offer) if offer or wants_offer else ""
            self._waits_for_answer = wants_offer
            await self._session.reply(event.method, 200, sdp=ours)
            self.remote_sdp = offer or self.remote_sdp
        except UnsupportedMedia as error:
            self._answer(event, 415, reason_line(415, error.message))
        except ParleyError as error:
            self._answer(event, 488, reason_line(488, error.message))
        except InterfaceTrouble as error:
            log.warning("opensips_change_unanswered", key=self._session.key, why=str(error))

    async def _take_info(self, event: UaEvent) -> None:
        request = event.as_request()
        # Without the headers the body has to do.
        guess = RELAY if "=" in event.body else PLAIN
        try:
            await self.on_info(content_type(request) or guess, request.text)
        except UnsupportedMedia:
            self._answer(event, 415)
        else:
            self._answer(event, 200)

    def _answer(self, event: UaEvent, status: int, lines: Lines = ()) -> None:
        self._crew.spawn(self._say(event.method, status, lines), "opensips:answer")

    async def _say(self, method: str, status: int, lines: Lines) -> None:
        try:
            await self._session.reply(method, status, lines=lines)
        except InterfaceTrouble as error:
            log.info("opensips_unanswered", key=self._session.key, method=method, why=str(error))
