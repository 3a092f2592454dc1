"""The house behind its listener, in this process."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

import pytest

from parley.app import _drain, _StopSignals, serve_house
from parley.engine_room import open_engine_room
from parley.session.turns import Listening
from parley.settings import Settings
from tests.session.fakes import FakeHouse, start_call


async def test_a_server_that_cannot_listen_says_so_and_ends(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, offline=True)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.close()

    async with asyncio.timeout(60), open_engine_room(settings) as engines:
        before = asyncio.all_tasks()
        with pytest.raises(OSError, match="Bad file descriptor"):
            await serve_house(settings, engines, listener)

    assert not {task for task in asyncio.all_tasks() - before if not task.done()}


async def test_a_second_signal_ends_the_calls_that_the_first_one_waits_for(
    listening: Listening,
) -> None:
    async with asyncio.timeout(30), FakeHouse(listening).host() as host:
        call = start_call(host)
        await call.until("turn_ended")
        stop = _StopSignals()
        with stop.watched():
            signal.raise_signal(signal.SIGTERM)
            await stop.first.wait()
            draining = asyncio.create_task(_drain(host, 600, stop))
            await asyncio.sleep(0)
            is_patient = host.live_calls == 1

            signal.raise_signal(signal.SIGTERM)
            await draining

        assert is_patient
        assert (host.live_calls, call.transport.ended_with) == (0, "drain")
