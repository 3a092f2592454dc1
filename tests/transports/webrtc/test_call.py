"""Whole calls over real WebRTC on the loopback, between the router and an aiortc caller."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import aiortc
import pytest
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.utils.text.base_text_aggregator import TextType

from parley.core.call import EndReason
from parley.core.events import AudioSkipped, Event, UserTranscript
from parley.transports.webrtc import opus
from parley.transports.webrtc.media import WebRtcMedia
from parley.transports.webrtc.processors import CallerOutput
from tests.transports.webrtc.callers import (
    QUICK,
    Call,
    bare_session,
    heard_s,
    loudest_part,
    packets_to,
    pipeline_session,
    say,
    share_at,
    sounding_ms,
    tone,
)


def no_libopus() -> tuple[str, object]:
    raise OSError("no such library")


@pytest.mark.parametrize("way", ["ours", "switched off", "untested aiortc", "no libopus"])
async def test_sound_goes_both_ways_as_it_was(town, way, monkeypatch):
    if way == "untested aiortc":
        monkeypatch.setattr(aiortc, "__version__", "9.9.9")
    if way == "no libopus":
        monkeypatch.setattr(opus, "_load", no_libopus)
    here = town(pipeline_session, replace(QUICK, opus_path=way != "switched off"))
    caller = here.caller(says=tone(440, 1500, 48_000))
    await caller.call()
    call = await here.one_call()
    await call.connected.wait()

    await say(call, tone(880, 1000, 24_000))
    await call.until(lambda: len(call.heard) >= 1.2 * 16_000 * 2)
    await caller.until(lambda: heard_s(caller.heard, 48_000) >= 0.98)

    assert share_at(loudest_part(bytes(call.heard), 16_000), 440, 16_000) > 0.99
    assert share_at(loudest_part(bytes(caller.heard), 48_000), 880, 48_000) > 0.98
    assert call.media.played_ms == 1000
    assert ("packets" in call.media.counters()) == (way == "ours")


async def test_the_answer_invites_the_browser_to_send_copies_and_asks_for_no_more(town):
    here = town(bare_session)

    answer = await here.caller().call()

    assert "a=fmtp:96 minptime=10;useinbandfec=1" in answer["sdp"]
    assert "nack" not in answer["sdp"]
    assert answer["type"] == "answer"
    assert answer["session_id"] == here.house.calls[0].info.id


async def test_a_caller_who_is_there_before_the_pipeline_loses_nothing(town):
    built = asyncio.Event()

    async def slow_session(call: Call) -> EndReason:
        await built.wait()
        return await pipeline_session(call)

    here = town(slow_session)
    caller = here.caller(says=tone(440, 1000, 48_000), channel=True)
    await caller.call()
    await caller.until_open()
    caller.send({"label": "rtvi-ai", "type": "client-ready", "id": "1"})
    call = await here.one_call()
    await packets_to(call, 40)

    built.set()
    await call.until(lambda: heard_s(call.heard, 16_000) >= 0.98)
    await call.until(lambda: bool(call.messages))

    assert call.messages == [{"label": "rtvi-ai", "type": "client-ready", "id": "1"}]
    assert call.media.counters()["microphone_dropped_ms"] == 0


async def test_an_interruption_silences_the_voice_and_counts_what_was_played(town):
    here = town(pipeline_session)
    caller = here.caller()
    await caller.call()
    call = await here.one_call()
    await call.connected.wait()
    assert call.worker is not None
    speech = TTSAudioRawFrame(tone(880, 5000, 24_000), 24_000, 1)
    await call.worker.queue_frames([TTSStartedFrame(), speech])
    await caller.until(lambda: heard_s(caller.heard, 48_000) >= 0.5)

    await call.worker.queue_frame(InterruptionFrame())
    before = len(caller.heard)
    await caller.until(lambda: len(caller.heard) >= before + 96_000)

    played_ms = call.media.played_ms
    assert 400 <= played_ms < 2000
    assert sounding_ms(caller.heard) == pytest.approx(played_ms, abs=60)
    assert call.media.clear() == played_ms
    assert loudest_part(bytes(caller.heard[-48_000:]), 48_000) == b""


async def test_no_word_gets_out_behind_an_interruption(town, monkeypatch):
    pushed: list[str] = []
    push, speaking = CallerOutput.push_frame, asyncio.Event()

    async def push_slowly(
        output: CallerOutput,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,
    ) -> None:
        await push(output, frame, direction)
        if isinstance(frame, TTSTextFrame | InterruptionFrame):
            pushed.append(frame.name.partition("#")[0])
            speaking.set()
        if isinstance(frame, InterruptionFrame):
            # Whoever watches the pipeline holds each frame up, here for five packets.
            await asyncio.sleep(0.1)

    monkeypatch.setattr(CallerOutput, "push_frame", push_slowly)
    here = town(pipeline_session)
    await here.caller().call()
    call = await here.one_call()
    await call.connected.wait()
    assert call.worker is not None
    piece = tone(880, 20, 24_000)
    for number in range(200):
        word = TTSTextFrame(str(number), TextType.WORD)
        await call.worker.queue_frames([TTSAudioRawFrame(piece, 24_000, 1), word])
    await speaking.wait()

    await call.worker.queue_frame(InterruptionFrame())
    await call.worker.flush_pipeline()

    assert "TTSTextFrame" in pushed
    assert pushed[-1] == "InterruptionFrame" and len(pushed) < 200


async def test_speech_that_must_not_be_interrupted_is_heard_to_its_end(town):
    here = town(pipeline_session)
    caller = here.caller()
    await caller.call()
    call = await here.one_call()
    await call.connected.wait()
    assert call.worker is not None
    speech = TTSAudioRawFrame(tone(880, 800, 24_000), 24_000, 1)
    speech.interruptible = False
    await call.worker.queue_frames([TTSStartedFrame(), speech])
    await caller.until(lambda: heard_s(caller.heard, 48_000) >= 0.2)

    await call.worker.queue_frame(InterruptionFrame())
    await caller.until(lambda: heard_s(caller.heard, 48_000) >= 0.78)

    assert call.media.counters()["clears"] == 0


async def test_the_last_word_is_heard_before_the_pipeline_ends(town):
    async def last_words(call: Call) -> EndReason:
        running = asyncio.create_task(pipeline_session(call))
        await call.connected.wait()
        await say(call, tone(880, 600, 24_000))
        assert call.worker is not None
        await call.worker.queue_frame(EndFrame())
        await ended.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return "agent"

    ended = asyncio.Event()
    here = town(last_words)
    caller = here.caller()
    await caller.call()
    call = await here.one_call()
    await call.connected.wait()
    assert call.worker is not None
    call.worker.add_event_handler("on_pipeline_finished", lambda *_: ended.set())

    await call.over.wait()

    assert sounding_ms(caller.heard) == pytest.approx(600, abs=50)


@pytest.mark.parametrize("passes_voice_on", [True, False])
async def test_the_voice_travels_on_behind_the_output_only_if_asked_to(town, passes_voice_on):
    here = town(pipeline_session, replace(QUICK, passes_voice_on=passes_voice_on))
    caller = here.caller()
    await caller.call()
    call = await here.one_call()
    await call.connected.wait()

    await say(call, tone(880, 200, 24_000))
    await caller.until(lambda: heard_s(caller.heard, 48_000) >= 0.18)

    assert bool(call.behind_output) == passes_voice_on
    assert sum(map(len, call.behind_output)) in (0, 200 * 24 * 2)


async def test_sound_that_the_pipeline_had_no_time_for_is_told_of_once_a_second():
    media = WebRtcMedia(replace(QUICK, lost_after_s=0.2), None, call_id="call_1")
    told: list[Event] = []
    skipped = asyncio.Event()
    media.listen(lambda event: (told.append(event), skipped.set()))

    for _ in range(200):
        media._microphone.put(bytes(640))
    await skipped.wait()
    await media.hang_up("agent")

    assert [type(event) for event in told] == [AudioSkipped]
    assert (told[0].call_id, told[0].where, told[0].ms) == ("call_1", "microphone", 1000)


async def test_events_reach_the_page_in_order_also_those_from_before_the_channel(town):
    here = town(bare_session)
    caller = here.caller(channel=True)
    await caller.call()
    call = await here.one_call()
    events = [UserTranscript(call_id="c", text=str(n), final=False) for n in range(200)]
    for event in events[:100]:
        await call.media.deliver(event)
    await caller.until_open()
    for event in events[100:]:
        await call.media.deliver(event)

    await caller.until(lambda: len(caller.received) >= 200)

    assert {(m["label"], m["type"]) for m in caller.received} == {("rtvi-ai", "server-message")}
    told = [message["data"]["parley"] for message in caller.received]
    assert [event["text"] for event in told] == [str(n) for n in range(200)]
    assert told[0]["event"] == "user_transcript"


@pytest.mark.parametrize(
    "said", [{"type": "goodbye"}, {"label": "rtvi-ai", "type": "disconnect-bot"}]
)
async def test_a_goodbye_ends_the_call_at_once(town, said):
    here = town(bare_session)
    caller = here.caller(channel=True)
    await caller.call()
    await caller.until_open()
    call = await here.one_call()
    await call.connected.wait()

    caller.send(said)
    async with asyncio.timeout(2):
        await call.over.wait()

    assert call.reason == "caller"
    assert len(here.peers) == 0
    assert not here.house.places


async def test_a_closed_connection_ends_the_call_at_once(town):
    here = town(pipeline_session)
    caller = here.caller()
    await caller.call()
    call = await here.one_call()
    await call.connected.wait()

    await caller.close()
    async with asyncio.timeout(2):
        await call.over.wait()

    assert call.reason == "caller"


async def test_when_the_house_hangs_up_the_page_hears_everything_that_was_sent(town):
    async def short_session(call: Call) -> EndReason:
        await call.media.connected()
        await ready.wait()
        for n in range(50):
            await call.media.deliver(UserTranscript(call_id="c", text=str(n), final=True))
        return "agent"

    ready = asyncio.Event()
    here = town(short_session)
    caller = here.caller(channel=True)
    await caller.call()
    await caller.until_open()

    ready.set()
    await caller.until(lambda: caller.pc.connectionState == "closed")

    assert [m["data"]["parley"]["text"] for m in caller.received[:-1]] == list(map(str, range(50)))
    assert caller.received[-1] == {"type": "signalling", "message": {"type": "peerLeft"}}
