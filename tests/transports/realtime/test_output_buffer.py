"""What a client over WebRTC is told of the speech that the server holds for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from parley.core.audio import pcm_bytes
from parley.transports.realtime.output_buffer import OutputBuffer
from parley.transports.realtime.record import Record
from parley.transports.realtime.response import Response, ResponseTerms
from parley.transports.webrtc.sender import VOICE_RATE_HZ, Playout

TERMS = ResponseTerms(True, {"type": "audio/pcm"}, "", "inf", carries_sound=False)


class Line:
    """A response that sounds, and what its client is told of that."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.record = Record()
        self.playout = Playout(ahead_ms=1000)
        self.buffer = OutputBuffer(
            self.playout, self.record, self.told.append, send_in_order=self.told.append
        )

    def response(self) -> Response:
        return Response(TERMS, lambda _: None, self.record)

    async def sound(self, response: Response, ms: int) -> None:
        pcm = bytes(pcm_bytes(ms, VOICE_RATE_HZ))
        response.sound(pcm)
        self.buffer.sounding(response)
        await self.playout.write(pcm)

    def play(self, ms: int) -> None:
        for _ in range(ms // 20):
            self.playout.take()

    def types(self) -> list[str]:
        return [event["type"].rpartition(".")[2] for event in self.told]


@pytest.fixture
def line() -> Line:
    return Line()


async def test_a_response_stops_sounding_when_all_of_it_has_gone_out(line: Line):
    response = line.response()
    await line.sound(response, 200)
    await line.sound(response, 200)
    line.buffer.done(response.id, "completed")
    line.play(300)
    await asyncio.sleep(0)
    while_sounding = line.types()
    line.play(120)
    await asyncio.sleep(0)

    assert while_sounding == ["started"]
    assert line.types() == ["started", "stopped"]
    assert {event["response_id"] for event in line.told} == {response.id}
    await line.buffer.close()


async def test_what_was_cut_off_is_truncated_to_what_went_out(line: Line):
    response = line.response()
    await line.sound(response, 400)
    line.play(120)
    line.buffer.interrupted()
    line.playout.clear()
    before = line.types()
    line.buffer.done(response.id, "cancelled")

    assert before == ["started"]
    assert line.types() == ["started", "cleared", "truncated"]
    assert (line.told[2]["item_id"], line.told[2]["audio_end_ms"]) == (response.open_item, 120)
    assert line.record.said(response.open_item).length_ms == 120


async def test_a_cancelled_response_is_cut_when_its_interruption_comes(line: Line):
    response = line.response()
    await line.sound(response, 400)
    line.buffer.done(response.id, "cancelled")
    line.play(200)
    before = line.types()
    line.buffer.interrupted()

    assert before == ["started"]
    assert line.types() == ["started", "cleared", "truncated"]
    assert line.told[2]["audio_end_ms"] == 200


async def test_an_interruption_between_two_utterances_truncates_nothing(line: Line):
    response = line.response()
    await line.sound(response, 100)
    line.play(100)
    line.buffer.paused()
    line.buffer.interrupted()
    line.buffer.done(response.id, "cancelled")

    assert line.types() == ["started", "cleared"]


async def test_a_response_without_sound_is_not_told_of(line: Line):
    response = line.response()
    line.buffer.interrupted()
    line.buffer.done(response.id, "completed")

    assert line.told == []


async def test_a_client_that_clears_is_told_so_though_there_was_nothing(line: Line):
    had_sound = line.buffer.clear()

    assert not had_sound
    assert line.types() == ["cleared"]


async def test_a_client_that_clears_while_the_rest_drains_hears_of_no_stop(line: Line):
    response = line.response()
    await line.sound(response, 400)
    line.buffer.done(response.id, "completed")
    had_sound = line.buffer.clear()
    await asyncio.sleep(0)

    assert had_sound
    assert line.types() == ["started", "cleared", "truncated"]
    await line.buffer.close()
