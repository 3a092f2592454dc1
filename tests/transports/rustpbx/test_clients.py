"""The clients of these tests behave as the real ones: what a server must put up with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.transports.rustpbx.clients import (
    A_PARALLEL,
    PROFILES,
    A,
    B,
    C,
    PbxClient,
    Profile,
    pbx_call,
)
from tests.transports.rustpbx.grammar import Unreadable, read_message

CONNECTED = json.dumps({"type": "connected", "server": "s", "version": "1", "timestamp": 1})
READABLE = {
    "connected": {"server": "s", "version": "1", "timestamp": 1},
    "configured": {"call_id": "c", "status": "success", "timestamp": 1},
    "audio": {"audio_data": [0, 255], "sample_rate": 16000, "channels": 1, "frame_id": "f"},
    "transcription": {"text": "t", "is_final": True, "timestamp": 1, "language": "en"},
    "error": {"message": "m", "timestamp": 1, "code": None},
    "metrics": {"key": "k", "duration": 1, "timestamp": 1},
}
UNREADABLE = {
    "no JSON": '{"type":"pong"',
    "a list": "[]",
    "an unknown type": '{"type":"audio_end","timestamp":1}',
    "a time that is a float": '{"type":"pong","timestamp":1.0}',
    "a negative time": '{"type":"pong","timestamp":-1}',
    "a time that is true": '{"type":"pong","timestamp":true}',
    "a missing time": '{"type":"pong"}',
    "a time that is null": '{"type":"pong","timestamp":null}',
    "a field twice": '{"type":"pong","timestamp":1,"timestamp":2}',
    "NaN": '{"type":"pong","timestamp":1,"more":NaN}',
    "half a character": '{"type":"tts_started","text":"\\ud83d","timestamp":1}',
    "base64": '{"type":"audio","audio_data":"AAA=","sample_rate":8000,"channels":1,"frame_id":"f"}',
    "samples": '{"type":"audio","audio_data":[-1],"sample_rate":8000,"channels":1,"frame_id":"f"}',
    "no language": '{"type":"transcription","text":"t","is_final":true,"timestamp":1}',
    "a code in words": '{"type":"error","message":"m","timestamp":1,"code":"not_found"}',
}


class Server:
    """Says ``connected`` and then nothing, or a frame without a word in it every 10 ms."""

    def __init__(self, *, ticks: bool) -> None:
        self.ticks = ticks
        self.url = ""
        self.came: list[str | bytes] = []
        self.codes: list[int] = []
        self.happened = asyncio.Condition()

    async def serve(self, connection: ServerConnection) -> None:
        await connection.send(CONNECTED)
        ticking = asyncio.create_task(self._tick(connection))
        try:
            async for message in connection:
                async with self.happened:
                    self.came.append(message)
                    self.happened.notify_all()
        except ConnectionClosed:
            pass
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
            async with self.happened:
                self.codes.append(connection.close_code or 0)
                self.happened.notify_all()

    async def _tick(self, connection: ServerConnection) -> None:
        while self.ticks:
            await connection.send(b"")
            await asyncio.sleep(0.01)

    async def until_came(self, count: int) -> None:
        async with asyncio.timeout(10), self.happened:
            await self.happened.wait_for(lambda: len(self.came) >= count)


@asynccontextmanager
async def server(*, ticks: bool) -> AsyncIterator[Server]:
    told = Server(ticks=ticks)
    async with serve(told.serve, "127.0.0.1", 0, ping_interval=None) as listening:
        told.url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/ws/rustpbx"
        yield told


@pytest.mark.parametrize("profile", [A, B], ids=str)
async def test_a_silent_server_hears_nothing_of_the_oldest_clients(profile: Profile):
    async with server(ticks=False) as silent:
        client = PbxClient(profile)
        connecting = asyncio.create_task(client.connect(silent.url))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await silent.until_came(2)
        connecting.cancel()
        await asyncio.gather(connecting, client.closed(), return_exceptions=True)

    # The reader holds the mutex: one message gets out, at most, for the one that came.
    assert len(silent.came) <= 1
    assert client.sent == 0


async def test_a_silent_server_hears_the_newest_client_in_bursts():
    async with server(ticks=False) as silent, pbx_call(silent.url, C) as client:
        await silent.until_came(2 + 10)
        sent, made = client.sent, client.made

    assert sent >= 10
    assert made - sent <= 10


@pytest.mark.parametrize("profile", PROFILES, ids=str)
async def test_a_server_that_ticks_hears_every_client(profile: Profile):
    async with server(ticks=True) as ticking, pbx_call(ticking.url, profile) as client:
        await ticking.until_came(2 * profile.sockets + 30)
        kinds = {type(message) for message in ticking.came[2 * profile.sockets :]}
        first = json.loads(ticking.came[0])
        commands = [json.loads(m)["command"] for m in ticking.came if isinstance(m, str)]

    assert first["command"] == "configure" and first["room_id"] == client.room_id
    assert kinds <= ({bytes} if profile.sends_binary else {str})
    assert commands.count("configure") == profile.sockets
    assert "disconnect" not in commands


async def test_a_client_leaves_without_a_word():
    async with server(ticks=True) as ticking:
        async with pbx_call(ticking.url, A_PARALLEL) as client:
            await client.until("connected")
        async with asyncio.timeout(5), ticking.happened:
            await ticking.happened.wait_for(lambda: len(ticking.codes) == 3)

    assert ticking.codes == [1006] * 3


@pytest.mark.parametrize("kind", READABLE)
def test_what_the_client_reads_is_read(kind: str):
    message = {"type": kind, **READABLE[kind], "unknown": {"more": 1.5}}

    assert read_message(json.dumps(message)) == message


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_what_the_client_drops_is_a_failure(text: str):
    with pytest.raises(Unreadable):
        read_message(text)
