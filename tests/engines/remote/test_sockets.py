"""WebSockets to engines: what their ends mean."""

from __future__ import annotations

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from parley.core.errors import EngineFailed, EngineUnavailable
from parley.engines.remote.sockets import closed_failure, drop_socket, is_alive, open_socket


@pytest.mark.parametrize("code", [1001, 1012, 1013])
def test_a_server_that_goes_down_may_come_back(code: int) -> None:
    error = closed_failure(
        "Vosk", "ws://u:secret@h:1/x", ConnectionClosedError(Close(code, ""), None)
    )

    assert type(error) is EngineUnavailable
    assert "secret" not in str(error)


def test_a_connection_cut_without_a_word_may_come_back() -> None:
    assert type(closed_failure("Vosk", "ws://h", ConnectionClosedError(None, None))) is (
        EngineUnavailable
    )


@pytest.mark.parametrize("code", [1000, 1002, 1008, 1011])
def test_a_server_that_breaks_has_failed_and_its_reason_is_told(code: int) -> None:
    error = closed_failure("Vosk", "ws://h", ConnectionClosedError(Close(code, "because"), None))

    assert type(error) is EngineFailed
    assert f"{code}: because" in str(error)


async def test_a_dropped_connection_is_not_alive() -> None:
    async def listen(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(listen, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        socket = await open_socket("Vosk", f"ws://127.0.0.1:{port}", timeout_s=5)
        before = await is_alive(socket)
        await drop_socket(socket)
        after = await is_alive(socket)

    assert (before, after) == (True, False)
