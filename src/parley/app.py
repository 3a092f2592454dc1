"""Puts the house together; the only file that knows every room."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import FastAPI

from parley import __version__
from parley.access.opening import open_access
from parley.api.calls_out import Dialler
from parley.core.bus import Bus
from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.engine_room import EngineRoom
from parley.listeners import Listener, until
from parley.rustpbx import build_rustpbx, rustpbx_preference
from parley.session.host import SessionHost
from parley.session.house import House
from parley.session.preference import Variants
from parley.session.turn_runner import TurnRunner
from parley.session.turns import Listening
from parley.settings import Settings
from parley.store.call_journal import CallJournal
from parley.store.call_writer import CallWriter
from parley.store.opening import Store, open_store
from parley.tool_room import ToolRoom, open_tool_room
from parley.transports.wheel import Wheel
from parley.web import Rooms, build_web

if TYPE_CHECKING:
    from parley.transports.opensips.gateway import OpenSips
    from parley.transports.sip.bare_rtp import BareRtp
    from parley.transports.sip.telephone import Telephone

log = get_logger(__name__)


@dataclass(frozen=True)
class Parley:
    """A running house: the web application, the host of its calls, a telephone if it has one, and
    what is on RustPBX's own port if it has one."""

    web: FastAPI
    host: SessionHost
    telephone: Telephone | BareRtp | None = None
    opensips: OpenSips | None = None
    rustpbx: FastAPI | None = None


@asynccontextmanager
async def open_house(settings: Settings, engines: EngineRoom) -> AsyncGenerator[Parley]:
    """Open all other rooms, and the doors once the engines are warm; leaving closes it all."""
    if settings.sip or settings.takes_bare_sound:
        settings.require_safe_telephone()
    agents, catalog, desk = engines.agents, engines.catalog, engines.desk
    listening = Listening(engines.vad, engines.smart_turn)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        access = await stack.enter_async_context(open_access(settings, store))
        tools = open_tool_room(settings, store, engines.tool_house)
        tool_room = await stack.enter_async_context(tools)
        bus = await _open_bus(settings, store, tool_room, stack)
        await engines.warming
        house = House(
            bus=bus,
            agents=agents,
            engines=desk,
            tools=desk,
            listening=listening,
            spare_voice=desk.spare_voice,
            admission=access.ledger,
            tool_book=tool_room.book,
            has_tenant=lambda name: access.ring.has_tenant(name) or agents.has_tenant(name),
        )
        host = await stack.enter_async_context(SessionHost(house, max_calls=settings.max_calls))
        runner = TurnRunner(desk, desk, book=tool_room.book)
        stack.push_async_callback(runner.close)
        variants = await _prepare(engines, settings, stack)
        wheel = Wheel()
        stack.callback(wheel.close)
        telephone, opensips = await _open_telephones(settings, host, wheel, stack)
        _spare_collector()
        rooms = Rooms(
            settings,
            agents,
            catalog,
            engines.tools,
            desk,
            host,
            listening,
            runner,
            access,
            calls=store.calls,
            tool_room=tool_room,
            wheel=wheel,
            parts={"opensips": opensips} if opensips else {},
            dialler=telephone if isinstance(telephone, Dialler) else None,
        )
        rustpbx = build_rustpbx(rooms, variants.preference) if settings.opens_rustpbx else None
        yield Parley(build_web(rooms), host, telephone, opensips, rustpbx)


async def _open_bus(
    settings: Settings, store: Store, tools: ToolRoom, stack: AsyncExitStack
) -> Bus:
    """With those who hear of every call; what they take outlives it."""
    keeps = timedelta(days=settings.history_days)
    journal = CallJournal(store.calls, settings.data_dir / "calls", keeps=keeps)
    history = await stack.enter_async_context(journal)
    bus = await stack.enter_async_context(Bus())
    bus.subscribe("store", CallWriter(history.note).listen)
    bus.subscribe("webhooks", tools.courier.listen)
    return bus


async def _prepare(engines: EngineRoom, settings: Settings, stack: AsyncExitStack) -> Variants:
    """Choose every agent's engines, now and whenever its file changes."""
    agents, catalog = engines.agents, engines.catalog
    variants = Variants(engines.desk, rustpbx_preference(settings))
    await variants.prepare_all(agents.all())
    stack.push_async_callback(end, begin(agents.watch(variants.prepare), "agents"))
    print(catalog.table(), file=sys.stderr)
    if advice := catalog.advice():
        print(f"\n{advice}", file=sys.stderr)
    return variants


async def _open_telephones(
    settings: Settings, host: SessionHost, wheel: Wheel, stack: AsyncExitStack
) -> tuple[Telephone | BareRtp | None, OpenSips | None]:
    """Whatever telephones there are; their calls share one timer. Raises ``BadSettings``."""
    telephone = opensips = None
    if settings.sip or settings.takes_bare_sound:
        telephone = await stack.enter_async_context(_telephone(settings, host, wheel))
    if settings.mi_ip:
        opensips = await stack.enter_async_context(_opensips(settings, host, wheel))
    return telephone, opensips


def _telephone(settings: Settings, host: SessionHost, wheel: Wheel) -> Telephone | BareRtp:
    """Raises ``BadSettings``."""
    # Its code is loaded by those only who have a telephone: everybody else starts quicker.
    from parley.transports.sip.bare_rtp import BareOptions, BareRtp
    from parley.transports.sip.telephone import Telephone, TelephoneOptions

    if settings.takes_bare_sound:
        return BareRtp(BareOptions.from_settings(settings), host, wheel)
    return Telephone(TelephoneOptions.from_settings(settings), host, wheel)


def _opensips(settings: Settings, host: SessionHost, wheel: Wheel) -> OpenSips:
    """Raises ``BadSettings``."""
    from parley.transports.opensips.gateway import OpenSips
    from parley.transports.opensips.options import OpenSipsOptions

    return OpenSips(OpenSipsOptions.from_settings(settings), host, wheel)


def _spare_collector() -> None:
    """Take what start-up loaded out of the garbage collector's sight, and let it work from now on.

    Models and modules are hundreds of thousands of objects that stay for good; looking through
    them again stopped every call for more than 100 ms. Of those that may go by now, one in
    thirty, a last search would cost the start as much.
    """
    gc.freeze()
    gc.enable()


async def serve_house(
    settings: Settings,
    engines: EngineRoom,
    place: socket.socket,
    rustpbx_place: socket.socket | None = None,
) -> None:
    """Open the house and serve until told to stop."""
    stop = _StopSignals()
    async with open_house(settings, engines) as house:
        listeners = [Listener(house.web, place, "web")]
        if house.rustpbx is not None and rustpbx_place is not None:
            listeners.append(Listener(house.rustpbx, rustpbx_place, "rustpbx"))
        try:
            for each in listeners:
                await each.open()
            tasks = [each.serving for each in listeners]
            if not any(task.done() for task in tasks):
                _tell_addresses(settings, listeners, house)
            with stop.watched():
                await until(stop.first, *tasks)
                if house.telephone is not None:
                    house.telephone.drain()
                await _drain(house.host, settings.drain_s, stop)
            await asyncio.gather(*(each.close() for each in listeners))
        finally:
            for each in listeners:
                await each.end()


def _tell_addresses(settings: Settings, listeners: Sequence[Listener], house: Parley) -> None:
    web, *others = listeners
    address = f"http://{_shown(settings.server_host)}:{web.port}"
    log.info("listening", url=address, version=__version__)
    print(f"\n  Parley is ready: open {address}\n", file=sys.stderr)
    for rustpbx in others:
        place = f"{_shown(settings.rustpbx_host)}:{rustpbx.port}"
        log.info("rustpbx_listening", url=f"ws://{place}/ws/rustpbx")
        print(f"  RustPBX connects to ws://{place}/ws/rustpbx\n", file=sys.stderr)
    if house.telephone is not None:
        print(f"  Telephones call {house.telephone.address}\n", file=sys.stderr)
    if house.opensips is not None:
        print(f"  OpenSIPS at {house.opensips.place} is asked for its calls\n", file=sys.stderr)


async def _drain(host: SessionHost, limit_s: float, stop: _StopSignals) -> None:
    """Let live calls finish; a second signal ends them now."""
    draining = asyncio.create_task(host.drain(limit_s))
    try:
        await until(stop.second, draining)
    finally:
        await end(draining)
    if draining.cancelled():
        await host.drain(0)
    else:
        draining.result()


class _StopSignals:
    """SIGTERM or Ctrl-C: the first asks politely, the second insists."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    @contextlib.contextmanager
    def watched(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        watched = (signal.SIGTERM, signal.SIGINT)
        for number in watched:
            loop.add_signal_handler(number, self._told)
        try:
            yield
        finally:
            for number in watched:
                loop.remove_signal_handler(number)

    def _told(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


def _shown(host: str) -> str:
    return "localhost" if host in {"127.0.0.1", "::1", "0.0.0.0", "::"} else host
