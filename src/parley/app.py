"""Puts the house together; the only file that knows every room."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from parley import __version__
from parley.access.opening import open_access
from parley.agents.catalog import AgentCatalog
from parley.core.bus import Bus
from parley.core.errors import BadSettings
from parley.core.log import get_logger, setup_logging
from parley.engines.catalog import EngineCatalog
from parley.engines.turn.smart_turn import SmartTurn
from parley.engines.vad.silero import SileroVad
from parley.session.desk import Desk
from parley.session.host import SessionHost
from parley.session.house import House
from parley.session.turn_runner import TurnRunner
from parley.session.turns import Listening
from parley.settings import Settings
from parley.store.call_writer import CallWriter
from parley.store.opening import open_store
from parley.tools.catalog import ToolCatalog
from parley.web import Rooms, build_web

log = get_logger(__name__)

# What HTTP requests may still take once the last call is over.
CLOSING_S = 5
# Clients keep connections for a minute or so; shorter, and their next request meets a closed one.
KEEP_ALIVE_S = 75


@dataclass(frozen=True)
class Parley:
    """A running house: the web application and the host of its calls."""

    web: FastAPI
    host: SessionHost


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncGenerator[Parley]:
    """Open everything, warm; leaving closes it in reverse order."""
    async with AsyncExitStack() as stack:
        agents = AgentCatalog.from_settings(settings)
        for problem in agents.load():
            log.error("agent_broken", problem=str(problem))
        catalog = EngineCatalog.from_settings(settings, fetches=True)
        stack.push_async_callback(catalog.close)
        listening = Listening(SileroVad(), SmartTurn())
        stack.callback(listening.close)
        tools = ToolCatalog()
        desk = Desk(agents, catalog, tools)
        # The recognisers load in processes of their own; everything else opens meanwhile.
        warming = asyncio.create_task(desk.warm_up(), name="warm-up")
        stack.push_async_callback(_end, warming)
        store = await stack.enter_async_context(open_store(settings))
        access = await stack.enter_async_context(open_access(settings, store))
        bus = await stack.enter_async_context(Bus())
        bus.subscribe("store", CallWriter(store.calls).listen)
        await asyncio.gather(asyncio.to_thread(listening.warm_up), warming)
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
        watching = asyncio.create_task(agents.watch(desk.prepare), name="agents")
        stack.push_async_callback(_end, watching)
        print(catalog.table(), file=sys.stderr)
        if advice := catalog.advice():
            print(f"\n{advice}", file=sys.stderr)
        _spare_collector()
        rooms = Rooms(settings, agents, catalog, tools, desk, host, listening, runner, access)
        yield Parley(build_web(rooms), host)


def _spare_collector() -> None:
    """Take what start-up loaded out of the garbage collector's sight.

    Models and modules are hundreds of thousands of objects that stay for good; looking through
    them again stopped every call for more than 100 ms.
    """
    gc.collect()
    gc.freeze()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def serve(settings: Settings) -> int:
    """Run until told to stop; the exit code for the shell."""
    setup_logging(settings.log_level, settings.log_format)
    listener = _bind(settings)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, listener))
    return 0


async def _serve(settings: Settings, listener: socket.socket) -> None:
    stop = _StopSignals()
    async with open_house(settings) as house:
        config = uvicorn.Config(
            house.web,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=CLOSING_S,
            timeout_keep_alive=KEEP_ALIVE_S,
            server_header=False,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.is_up.wait()
        address = f"http://{_shown(settings.server_host)}:{listener.getsockname()[1]}"
        log.info("listening", url=address, version=__version__)
        print(f"\n  Parley is ready: open {address}\n", file=sys.stderr)
        with stop.watched():
            await asyncio.wait(
                [serving, asyncio.ensure_future(stop.first.wait())],
                return_when=asyncio.FIRST_COMPLETED,
            )
            await _drain(house.host, settings.drain_s, stop)
        server.should_exit = True
        await serving


async def _drain(host: SessionHost, limit_s: float, stop: _StopSignals) -> None:
    """Let live calls finish; a second signal ends them now."""
    draining = asyncio.ensure_future(host.drain(limit_s))
    impatient = asyncio.ensure_future(stop.second.wait())
    await asyncio.wait([draining, impatient], return_when=asyncio.FIRST_COMPLETED)
    impatient.cancel()
    if not draining.done():
        draining.cancel()
        await host.drain(0)


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


def _bind(settings: Settings) -> socket.socket:
    """Take the port before the long warm-up, so that a taken one is reported at once."""
    host, port = settings.server_host, settings.server_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, so that asyncio sends small pieces of a stream at once.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise BadSettings(
            f"Can't listen on {host}:{port}: {error.strerror}.",
            hint=f"Stop what uses it, or start with --port {port + 1}.",
        ) from error
    return listener


def _shown(host: str) -> str:
    return "localhost" if host in {"127.0.0.1", "::1", "0.0.0.0", "::"} else host


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one: it saves 1.3 % of a core per call."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
