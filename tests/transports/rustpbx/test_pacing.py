"""The line and the ears: whole pieces on a clock that the test turns, chunks of any size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from starlette.websockets import WebSocket

from parley.core.audio import pcm_bytes
from parley.core.tasks import begin, end
from parley.transports.paced_line import MOST_WAITING_BYTES, PacedLine
from parley.transports.pcm_ears import PatientMicrophone, PcmEars
from parley.transports.phone_playout import PhonePlayout
from parley.transports.wheel import SLOT_MS, Wheel

RATE_HZ = 16_000
PIECE_BYTES = pcm_bytes(20, RATE_HZ)
TONE = b"\x10\x27"


class FakeSocket:
    """Keeps what it is given. While ``is_stuck`` nothing gets through."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.close_code = 0
        self.may_pass = asyncio.Event()
        self.may_pass.set()
        self.happened = asyncio.Condition()

    async def send_text(self, text: str) -> None:
        await self._take(text)

    async def send_bytes(self, data: bytes) -> None:
        await self._take(data)

    async def close(self, code: int, reason: str) -> None:
        self.close_code = code

    async def _take(self, message: str | bytes) -> None:
        await self.may_pass.wait()
        async with self.happened:
            self.sent.append(message)
            self.happened.notify_all()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5), self.happened:
            await self.happened.wait_for(lambda: len(self.sent) >= count)

    @property
    def sound(self) -> list[bytes]:
        return [each for each in self.sent if isinstance(each, bytes) and each]


class StillWheel(Wheel):
    """Turns only when the test says so."""

    def join(self, member: Any, period_ms: int) -> None:
        return None


@asynccontextmanager
async def line_to(
    socket: FakeSocket, *, ticks: bool = False
) -> AsyncIterator[tuple[PacedLine, PhonePlayout]]:
    line = PacedLine(cast(WebSocket, socket), StillWheel(), bytes, ticks=ticks)
    line.playout = PhonePlayout(40, rate_hz=RATE_HZ, codec_hz=RATE_HZ)
    running = begin(line.run(), "line")
    try:
        yield line, line.playout
    finally:
        await end(running)


async def settled() -> None:
    """Let everything that can go on without the clock do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_each_turn_sends_one_whole_piece_and_the_last_is_filled_with_silence():
    socket = FakeSocket()
    async with line_to(socket) as (line, playout):
        playout.start_utterance()
        playout.put(TONE * 500)
        playout.end_utterance()
        for slot in range(0, 20, 4):
            line.turn(slot)
            await settled()

    assert [len(piece) for piece in socket.sound] == [PIECE_BYTES] * 2
    assert b"".join(socket.sound) == (TONE * 500).ljust(2 * PIECE_BYTES, b"\0")
    assert playout.played_ms == 31


async def test_nothing_goes_out_ahead_of_its_turn():
    socket = FakeSocket()
    async with line_to(socket) as (line, playout):
        playout.start_utterance()
        playout.put(TONE * 3200)
        await settled()
        before = len(socket.sound)
        line.turn(0)
        await settled()

    assert (before, len(socket.sound)) == (0, 1)


async def test_what_waits_is_thrown_away_when_the_caller_interrupts():
    socket = FakeSocket()
    async with line_to(socket) as (line, playout):
        playout.start_utterance()
        playout.put(TONE * 3200)
        line.turn(0)
        await settled()
        played_ms = playout.clear()
        for slot in (4, 8):
            line.turn(slot)
            await settled()

    assert (played_ms, len(socket.sound)) == (20, 1)


async def test_a_far_side_that_reads_nothing_for_a_while_is_not_flooded_afterwards():
    socket = FakeSocket()
    async with line_to(socket) as (line, playout):
        playout.start_utterance()
        playout.put(TONE * 16_000)
        socket.may_pass.clear()
        for slot in range(0, 200, 4):
            line.turn(slot)
            await settled()
        socket.may_pass.set()
        await settled()

    # The one that was stuck, and 80 ms that came due meanwhile.
    assert len(socket.sound) == 5
    assert playout.held_ms == 900


async def test_an_empty_message_goes_out_wherever_nothing_else_does():
    socket = FakeSocket()
    async with line_to(socket, ticks=True) as (line, playout):
        for slot in range(0, 8, 2):
            line.turn(slot)
            await settled()
        silent = list(socket.sent)
        playout.start_utterance()
        playout.put(TONE * 640)
        for slot in range(8, 16, 2):
            line.turn(slot)
            await settled()

    assert silent == [b""] * 4
    assert [len(each) for each in socket.sent[4:]] == [PIECE_BYTES, 0, PIECE_BYTES, 0]


async def test_messages_go_out_in_order_and_the_farewell_behind_them():
    socket = FakeSocket()
    async with line_to(socket) as (line, _):
        for text in ("one", "two", "three"):
            line.send(text)
        line.close(1001, "drain")
        line.send("too late")
        await line.closed.wait()

    assert socket.sent == ["one", "two", "three"]
    assert socket.close_code == 1001


async def test_who_reads_nothing_is_let_go_before_memory_fills():
    socket = FakeSocket()
    socket.may_pass.clear()
    async with line_to(socket) as (line, _):
        for _ in range(6):
            line.send("x" * (MOST_WAITING_BYTES // 4))
            await settled()
        socket.may_pass.set()
        await line.closed.wait()

    assert socket.close_code == 1008
    assert len(socket.sent) == 1


async def test_a_farewell_that_is_never_read_is_not_waited_for():
    socket = FakeSocket()
    socket.may_pass.clear()
    async with line_to(socket) as (line, _):
        line.send("one")
        line.close()
        line.turn(0)
        await settled()
        waited = not line.closed.is_set()
        line.turn(401)

    assert waited
    assert line.closed.is_set()
    assert socket.close_code == 0


async def test_a_line_turns_with_the_wheel_and_leaves_it():
    socket, wheel = FakeSocket(), Wheel()
    line = PacedLine(cast(WebSocket, socket), wheel, bytes, ticks=True)
    running = begin(line.run(), "line")
    await socket.until(3)
    on_it = len(wheel)
    line.close()
    await line.closed.wait()
    await running

    assert (on_it, len(wheel)) == (1, 0)
    assert SLOT_MS == 5


class Listener:
    """What the microphone was given."""

    def __init__(self, *, is_stream: bool = False) -> None:
        self.microphone = PatientMicrophone()
        self.ears = PcmEars(self.microphone, is_stream=is_stream)

    async def heard(self) -> bytes:
        pcm = b""
        while self.microphone.held_ms:
            pcm += await self.microphone.get()
        return pcm


@pytest.mark.parametrize("chunk_bytes", [2, 160, 642, 5000, 64_000])
async def test_chunks_of_any_size_are_heard_whole(chunk_bytes: int):
    sound, listener = bytes(range(256)) * 75, Listener()

    for at in range(0, len(sound), chunk_bytes):
        listener.ears.hear(sound[at : at + chunk_bytes], RATE_HZ, 0.0)

    assert await listener.heard() == sound


async def test_half_a_sample_is_noise_in_a_message_and_goes_on_in_a_stream():
    message, stream = Listener(), Listener(is_stream=True)
    sound = bytes(range(256)) * 5

    for listener in (message, stream):
        for at in range(0, len(sound), 641):
            listener.ears.hear(sound[at : at + 641], RATE_HZ, 0.0)

    assert await stream.heard() == sound
    assert (await message.heard())[:640] == sound[:640]


async def test_another_rate_is_brought_to_the_pipelines():
    listener = Listener()

    for _ in range(50):
        listener.ears.hear(bytes(pcm_bytes(20, 8000)), 8000, 0.0)

    heard_ms = len(await listener.heard()) / pcm_bytes(1, RATE_HZ)
    assert 960 <= heard_ms <= 1000


async def test_where_nothing_comes_silence_is_heard_and_not_twice():
    listener = Listener()
    listener.ears.tick(100.0)
    listener.ears.hear(bytes(PIECE_BYTES), RATE_HZ, 100.0)
    listener.ears.tick(100.2)
    before_ms = listener.microphone.held_ms

    for tick in range(26, 50):
        listener.ears.tick(100 + tick / 50)

    assert before_ms == 20
    assert listener.microphone.held_ms == 20 + 980


async def test_a_process_that_was_stuck_does_not_make_up_for_all_of_it():
    listener = Listener()
    listener.ears.hear(bytes(PIECE_BYTES), RATE_HZ, 100.0)

    listener.ears.tick(160.0)

    assert listener.microphone.held_ms == 20 + 1000
