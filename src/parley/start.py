"""Starts the server: takes the port, opens the engines, loads the house while they warm up."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

from parley.core.errors import BadSettings
from parley.core.log import setup_logging
from parley.engine_room import open_engine_room
from parley.settings import Settings

MOST_FILES = 65_536


def serve(settings: Settings) -> int:
    """Run until told to stop; the exit code for the shell."""
    setup_logging(settings.log_level, settings.log_format, settings.log_file)
    # A library that breaks down in C leaves at least where it was.
    faulthandler.enable()
    allow_many_files()
    listener = _bind(settings.server_host, settings.server_port, "--port")
    rustpbx = None
    if settings.opens_rustpbx:
        place = (settings.rustpbx_host, settings.rustpbx_port)
        rustpbx = _bind(*place, "--pipecat-server-port")
    # Nearly all that is loaded now stays for good: the collector would look through it dozens of
    # times, a tenth of the start. The house switches it on again once it is open.
    gc.disable()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, listener, rustpbx))
    return 0


async def _serve(
    settings: Settings, listener: socket.socket, rustpbx: socket.socket | None
) -> None:
    async with open_engine_room(settings) as engines:
        # The house has every room in it, and loading its code takes about as long as a recogniser
        # takes to load its models, in a process of its own: both at once.
        await asyncio.to_thread(import_module, "parley.app")
        from parley.app import serve_house

        await serve_house(settings, engines, listener, rustpbx)


def allow_many_files() -> None:
    """Let the process hold as many sockets as its machine permits: a call on the telephone takes
    two, and most systems begin with 1,024 for all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    # macOS permits less than it says.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _bind(host: str, port: int, flag: str) -> socket.socket:
    """Take the port before the long warm-up, so that a taken one is reported at once."""
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
            hint=f"Stop what uses it, or start with {flag} {port + 1}.",
        ) from error
    return listener


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one: it saves 1.3 % of a core per call."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
