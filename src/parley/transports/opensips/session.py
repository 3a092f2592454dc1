"""One UA session of OpenSIPS: what we have it say, one command after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from parley.core.log import get_logger
from parley.transports.opensips.interface import (
    CommandRefused,
    InterfaceTrouble,
    ManagementInterface,
)
from parley.transports.sip.grammar import printable
from parley.transports.sip.message import phrase_of

log = get_logger(__name__)

Lines = Iterable[tuple[str, str]]


class UaSession:
    """``key`` is OpenSIPS's name of it. Commands go out in the order in which they were given:
    OpenSIPS reads them in several processes, and might otherwise answer before it rings."""

    def __init__(self, interface: ManagementInterface, key: str) -> None:
        self.key = key
        self._interface = interface
        self._turn = asyncio.Lock()

    async def reply(
        self, method: str, status: int, *, phrase: str = "", sdp: str = "", lines: Lines = ()
    ) -> None:
        """Answer a request. Raises ``InterfaceTrouble``."""
        told: dict[str, object] = {"code": status, "reason": phrase or phrase_of(status)}
        async with self._turn:
            await self._interface.ask(
                "ua_session_reply",
                {"key": self.key, "method": method, **told, **_content(sdp, lines)},
            )

    async def update(
        self, method: str, *, body: str = "", kind: str = "", lines: Lines = ()
    ) -> None:
        """Send a request. ``kind`` is the body's type, if it is no SDP. Raises
        ``InterfaceTrouble``."""
        content = _content(body, lines)
        if kind:
            # OpenSIPS wants the whole line.
            content["content_type"] = f"Content-Type: {kind}\r\n"
        async with self._turn:
            await self._interface.ask(
                "ua_session_update",
                {"key": self.key, "method": method, **content},
                is_repeatable=False,
            )

    async def terminate(self) -> None:
        """Say goodbye and have OpenSIPS forget the session. Never raises: one that is gone already
        is no loss, and what OpenSIPS still keeps is swept away later."""
        async with self._turn:
            try:
                await self._interface.ask("ua_session_terminate", {"key": self.key})
            except InterfaceTrouble as error:
                log.info("opensips_not_terminated", key=self.key, why=str(error))

    async def refuse(self, status: int, *, phrase: str = "", lines: Lines = ()) -> None:
        """Answer the INVITE with a refusal. OpenSIPS keeps such a session until it is told to
        forget it. Never raises."""
        try:
            await self.reply("INVITE", status, phrase=phrase, lines=lines)
        except InterfaceTrouble as error:
            log.info("opensips_not_refused", key=self.key, status=status, why=str(error))
        await self.terminate()

    async def clear_away(self) -> None:
        """End a session that nobody has any more. Raises ``InterfaceTrouble``."""
        async with self._turn:
            try:
                await self._interface.ask("ua_session_terminate", {"key": self.key})
                return
            except CommandRefused:
                # One that was never answered can't be hung up.
                log.debug("opensips_orphan_rings", key=self.key)
        # A proxy before it takes the call to another node, if it has one.
        await self.refuse(503)


def _content(body: str, lines: Lines) -> dict[str, object]:
    extra = "".join(f"{name}: {printable(value)}\r\n" for name, value in lines)
    if not extra:
        return {"body": body} if body else {}
    # Without a body OpenSIPS (3.4 to 4.1) sends unset memory in place of our headers.
    return {"body": body, "extra_headers": extra}
