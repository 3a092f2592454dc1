"""Staying subscribed to OpenSIPS's events, and clearing away the sessions that nobody has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from contextlib import suppress
from typing import Any, cast

from parley.core.log import get_logger
from parley.engines.spec import Status
from parley.transports.opensips.events import EVENT
from parley.transports.opensips.interface import (
    CommandRefused,
    InterfaceTrouble,
    ManagementInterface,
)
from parley.transports.opensips.options import Patience
from parley.transports.opensips.session import UaSession

log = get_logger(__name__)

# How often it is left at renewing before the sessions are asked for again in vain.
RESTS = 5
UNREACHABLE = "Is OpenSIPS running? MI_IP and MI_PORT are those of mi_datagram's socket_name."
REFUSING = "Are b2b_entities and event_datagram loaded? OpenSIPS must be 3.4 or newer."


class Subscription:
    """Subscribes, and does so again well before it expires: OpenSIPS forgets its subscribers when
    it restarts, and says nothing of it. ``keep`` runs until ``stop``.

    ``address`` says where events come to, once there is a way to OpenSIPS. ``ours`` are the keys of
    the sessions that somebody here has: any other that is listed twice in a row has lost its event
    or its owner, and is ended.
    """

    def __init__(
        self,
        interface: ManagementInterface,
        address: Callable[[], str],
        ours: Container[str],
        patience: Patience,
    ) -> None:
        self.is_held = asyncio.Event()
        self.is_missing = asyncio.Event()
        """Set once a try has failed, until one succeeds."""
        self._interface = interface
        self._address = address
        self._ours = ours
        self._patience = patience
        self._stopping = asyncio.Event()
        self._trouble = "nothing was heard of it yet"
        self._hint = UNREACHABLE
        self._strays: frozenset[str] = frozenset()
        self._rests = 0

    def status(self) -> Status:
        """How it stands, for ``/health``."""
        place = self._interface.place
        if self.is_held.is_set():
            return Status(True, f"OpenSIPS at {place} tells its calls to {self._address()}.")
        return Status(False, f"OpenSIPS at {place}: {self._trouble}.", self._hint)

    async def keep(self) -> None:
        patience = self._patience
        wait_s = patience.retry_s
        while not self._stopping.is_set():
            try:
                await self._renew()
            except InterfaceTrouble as error:
                self._note_trouble(error)
                self._interface.close()
                await self._pause(wait_s)
                wait_s = min(2 * wait_s, patience.longest_retry_s)
            else:
                wait_s = patience.retry_s
                # A second look soon: a stray that is seen twice need not wait any longer.
                await self._pause(patience.second_look_s if self._strays else patience.refresh_s)

    async def stop(self) -> None:
        """Be told of no more calls."""
        self._stopping.set()
        if self.is_held.is_set():
            self.is_held.clear()
            with suppress(InterfaceTrouble):
                await self._subscribe(0)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _renew(self) -> None:
        await self._interface.open()
        await self._subscribe(self._patience.expire_s)
        self.is_missing.clear()
        if not self.is_held.is_set() and not self._stopping.is_set():
            self.is_held.set()
            log.info("opensips_subscribed", mi=self._interface.place, events=self._address())
        await self._sweep()

    async def _subscribe(self, expire_s: int) -> None:
        await self._interface.ask(
            "event_subscribe",
            {"event": EVENT, "socket": f"udp:{self._address()}", "expire": expire_s},
        )

    def _note_trouble(self, error: InterfaceTrouble) -> None:
        """Tell each trouble once."""
        is_new = self.is_held.is_set() or str(error) != self._trouble
        self.is_held.clear()
        self.is_missing.set()
        self._trouble = str(error)
        self._hint = REFUSING if isinstance(error, CommandRefused) else UNREACHABLE
        if is_new:
            log.error(
                "opensips_unreachable",
                mi=self._interface.place,
                error=self._trouble,
                hint=f"{self._hint} No calls come from it meanwhile; it is tried again.",
            )

    async def _sweep(self) -> None:
        """End what was a stray the last time as well: its event may only have been on its way."""
        if self._rests > 0:
            self._rests -= 1
            return
        try:
            answer = await self._interface.ask("ua_session_list", {}, is_repeatable=False)
        except InterfaceTrouble as error:
            # A hundred calls or so are more than a datagram holds; nothing of use is said then.
            self._rests, self._strays = RESTS, frozenset()
            log.info("opensips_sessions_unknown", error=str(error))
            return
        listed = _keys(answer)
        strays = frozenset(key for key in listed if key not in self._ours)
        known, self._strays = self._strays & strays, strays
        for key in sorted(known):
            await UaSession(self._interface, key).clear_away()
        if known:
            log.warning("opensips_orphans_ended", count=len(known))


def _keys(listed: Any) -> list[str]:
    """The sessions that callers began: our tag is their key. Those that others began from here have
    a tag that is no key, and OpenSIPS refuses to end them by it."""
    entries = cast("list[object]", listed) if isinstance(listed, list) else []
    found: list[str] = []
    for entry in entries:
        told = cast("dict[str, object]", entry) if isinstance(entry, dict) else {}
        if isinstance(key := told.get("to_tag"), str) and key:
            found.append(key)
    return found
