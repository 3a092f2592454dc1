"""Puts the house together; the only file that knows every room."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from parley import __version__
from parley.access.opening import open_access
from parley.api.calls_out import Dialler
from parley.api.prompt_http import PromptHttp
from parley.core.bus import Bus
from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.engine_room import EngineRoom
from parley.session.host import SessionHost
from parley.session.house import House
from parley.session.turn_runner import TurnRunner
from parley.session.turns import Listening
from parley.settings import Settings
from parley.store.call_writer import CallWriter
from parley.store.opening import open_store
from parley.web import Rooms, build_web

if TYPE_CHECKING:
    from parley.transports.opensips.gateway import OpenSips
    from parley.transports.sip.bare_rtp import BareRtp
    from parley.transports.sip.telephone import Telephone

log = get_logger(__name__)

# What HTTP requests may still take once the last call is over.
CLOSING_S = 5
# Clients keep connections for a minute or so; shorter, and their next request meets a closed one.
KEEP_ALIVE_S = 75
# A Realtime client may append 15 MiB of sound at once: 20 MiB in base64, and its frame.
LARGEST_MESSAGE_BYTES = 24 * 1024 * 1024


@dataclass(frozen=True)
class Parley:
    """A running house: the web application, the host of its calls, a telephone if it has one."""

    web: FastAPI
    host: SessionHost
    telephone: Telephone | BareRtp | None = None
    opensips: OpenSips | None = None


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
        bus = await stack.enter_async_context(Bus())
        bus.subscribe("store", CallWriter(store.calls).listen)
        await engines.warming
        house = House(
            bus=bus,
            agents=agents,
            engines=desk,
            tools=desk,
            listening=listening,
            spare_voice=desk.spare_voice,
            admission=access.ledger,
        )
        runner = TurnRunner(desk, desk)
        stack.push_async_callback(runner.close)
        host = await stack.enter_async_context(SessionHost(house, max_calls=settings.max_calls))
        stack.push_async_callback(end, begin(agents.watch(desk.prepare), "agents"))
        print(catalog.table(), file=sys.stderr)
        if advice := catalog.advice():
            print(f"\n{advice}", file=sys.stderr)
        telephone = None
        if settings.sip or settings.takes_bare_sound:
            telephone = await stack.enter_async_context(_telephone(settings, host))
        opensips = await _opensips(settings, host, stack)
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
            parts={"opensips": opensips} if opensips else {},
            dialler=telephone if isinstance(telephone, Dialler) else None,
        )
        yield Parley(build_web(rooms), host, telephone, opensips)


def _telephone(settings: Settings, host: SessionHost) -> Telephone | BareRtp:
    """Raises ``BadSettings``."""
    # Its code is loaded by those only who have a telephone: everybody else starts quicker.
    from parley.transports.sip.bare_rtp import BareOptions, BareRtp
    from parley.transports.sip.telephone import Telephone, TelephoneOptions

    if settings.takes_bare_sound:
        return BareRtp(BareOptions.from_settings(settings), host)
    return Telephone(TelephoneOptions.from_settings(settings), host)


async def _opensips(
    settings: Settings, host: SessionHost, stack: AsyncExitStack
) -> OpenSips | None:
    """Raises ``BadSettings``."""
    if not settings.mi_ip:
        return None
    from parley.transports.opensips.gateway import OpenSips
    from parley.transports.opensips.options import OpenSipsOptions

    opensips = OpenSips(OpenSipsOptions.from_settings(settings), host)
    return await stack.enter_async_context(opensips)


def _spare_collector() -> None:
    """Take what start-up loaded out of the garbage collector's sight, and let it work from now on.

    Models and modules are hundreds of thousands of objects that stay for good; looking through
    them again stopped every call for more than 100 ms. Of those that may go by now, one in
    thirty, a last search would cost the start as much.
    """
    gc.freeze()
    gc.enable()


async def serve_house(settings: Settings, engines: EngineRoom, listener: socket.socket) -> None:
    """Open the house and serve until told to stop."""
    stop = _StopSignals()
    async with open_house(settings, engines) as house:
        config = uvicorn.Config(
            house.web,
            http=PromptHttp,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=CLOSING_S,
            timeout_keep_alive=KEEP_ALIVE_S,
            ws_max_size=LARGEST_MESSAGE_BYTES,
            # Sound hardly shrinks, and a client that unpacks can be sent bombs.
            ws_per_message_deflate=False,
            server_header=False,
        )
        server = _Server(config)
        serving = begin(server.serve(sockets=[listener]), "web")
        try:
            await _until(server.is_up, serving)
            if not serving.done():
                _tell_addresses(settings, listener, house)
            with stop.watched():
                await _until(stop.first, serving)
                if house.telephone is not None:
                    house.telephone.drain()
                await _drain(house.host, settings.drain_s, stop)
            server.should_exit = True
            await serving
        finally:
            await end(serving)


def _tell_addresses(settings: Settings, listener: socket.socket, house: Parley) -> None:
    address = f"http://{_shown(settings.server_host)}:{listener.getsockname()[1]}"
    log.info("listening", url=address, version=__version__)
    print(f"\n  Parley is ready: open {address}\n", file=sys.stderr)
    if house.telephone is not None:
        print(f"  Telephones call {house.telephone.address}\n", file=sys.stderr)
    if house.opensips is not None:
        print(f"  OpenSIPS at {house.opensips.place} is asked for its calls\n", file=sys.stderr)


async def _until(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Return when the event has come or the task is over."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(waiting)


async def _drain(host: SessionHost, limit_s: float, stop: _StopSignals) -> None:
    """Let live calls finish; a second signal ends them now."""
    draining = asyncio.create_task(host.drain(limit_s))
    try:
        await _until(stop.second, draining)
    finally:
        await end(draining)
    if draining.cancelled():
        await host.drain(0)
    else:
        draining.result()


class _Server(uvicorn.Server):
    """uvicorn, but for the signals: ours drain the calls first. ``is_up`` once it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


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
