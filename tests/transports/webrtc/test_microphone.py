"""The caller's queue: short, oldest out first, and counted."""

from __future__ import annotations

import asyncio

from parley.transports.webrtc.microphone import Microphone

PIECE = bytes(640)


def piece(number: int) -> bytes:
    return bytes([number]) * 640


async def test_pieces_come_out_in_order():
    microphone = Microphone(limit_ms=400)
    for number in range(5):
        microphone.put(piece(number))

    assert [await microphone.get() for _ in range(5)] == [piece(n) for n in range(5)]
    assert microphone.held_ms == 0


async def test_a_reader_that_falls_behind_loses_the_oldest_and_it_is_counted():
    microphone = Microphone(limit_ms=100)
    microphone.put(PIECE)
    await microphone.get()

    for number in range(8):
        microphone.put(piece(number))

    assert microphone.held_ms == 100
    assert microphone.dropped_ms == 60
    assert await microphone.get() == piece(3)


async def test_what_is_said_before_anybody_listens_is_kept():
    microphone = Microphone(limit_ms=100, backlog_ms=1000)

    for number in range(50):
        microphone.put(piece(number))

    assert microphone.dropped_ms == 0
    assert [await microphone.get() for _ in range(50)] == [piece(n) for n in range(50)]


async def test_a_waiting_reader_is_woken():
    microphone = Microphone(limit_ms=100)
    reading = asyncio.create_task(microphone.get())
    await asyncio.sleep(0)

    microphone.put(piece(7))

    assert await reading == piece(7)


async def test_a_reader_that_gave_up_takes_nothing_along():
    microphone = Microphone(limit_ms=100)
    reading = asyncio.create_task(microphone.get())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    microphone.put(piece(1))

    assert await microphone.get() == piece(1)
