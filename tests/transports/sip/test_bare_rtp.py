"""Sound without a signal is a call: it begins with a packet and ends when none come."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiortc.rtp import RtcpByePacket

from parley.agents.schema import Agent
from parley.core.call import CallInfo
from parley.core.errors import BadSettings, NotSupported, QuotaExceeded
from parley.session.admission import Reservation
from parley.session.turns import Listening
from parley.settings.load import load_settings
from parley.testing.engines import FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.transports.sip.bare_rtp import BareOptions, BareRtp
from parley.transports.sip.rtp.line import LineOptions
from parley.transports.wheel import Wheel
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.session.fakes import AGENT, FakeHouse, agent_with
from tests.transports.sip.bare_caller import beside, caller_at, free_port, packet
from tests.transports.sip.listening_board import ListeningBoard, Notes, no_task_left
from tests.transports.sip.rtp.far_end import FarEnd

SILENT = agent_with(greeting="")
NO_FILE = Path("no-such-file.env")


@dataclass(kw_only=True)
class Door(ListeningBoard):
    """A port for bare sound with a fake house behind it, and what happens in its calls."""

    bare: BareRtp
    port: int


@asynccontextmanager
async def opened(
    listening: Listening,
    *,
    agents: Sequence[Agent] = (AGENT,),
    max_calls: int = 4,
    silence_s: float = 10.0,
    options: dict[str, Any] | None = None,
    **engines: Any,
) -> AsyncIterator[Door]:
    notes = Notes()
    house = FakeHouse(listening, list(agents), listeners=[notes.note], **engines)
    port = free_port()
    chosen = BareOptions(port=port, line=LineOptions(silence_limit_s=silence_s), **(options or {}))
    async with (
        no_task_left(),
        house.host(max_calls=max_calls) as host,
        BareRtp(chosen, host, Wheel()) as bare,
    ):
        notes.board = door = Door(bare=bare, host=host, port=port)
        yield door


# ── a call ───────────────────────────────────────────────────────────────────────────────────


async def test_a_packet_begins_a_call_and_the_greeting_goes_to_where_it_came_from(
    listening: Listening,
):
    async with opened(listening) as door, caller_at(door.port) as caller:
        await caller.hear(10)

        started = await door.until("call_started")
        assert (started.call.transport, started.call.agent) == ("rtp", "tester")
        assert started.call.caller == f"rtp:127.0.0.1:{caller.sound.port}"


async def test_who_speaks_from_the_first_packet_on_is_understood_and_answered(
    listening: Listening,
):
    question = await CallerVoice()("what time is it")
    stt, tts = FakeTranscriber("what time is it"), FakeSynthesizer(word_ms=200)
    async with (
        opened(listening, agents=[SILENT], stt=stt, tts=tts) as door,
        caller_at(door.port) as caller,
    ):
        await caller.speak(question)
        await caller.hear(100)

        assert (await door.until("turn_ended")).heard == "Yes."
        assert stt.heard_ms[0] >= len(question) / 2 / CALLER_HZ * 1000 * 0.5


async def test_a_caller_who_sends_nothing_more_has_hung_up(listening: Listening):
    async with (
        opened(listening, agents=[SILENT], silence_s=0.4) as door,
        caller_at(door.port) as caller,
    ):
        await door.until("media_started")
        caller.is_muted = True

        assert (await door.until("call_ended")).reason == "caller"
        await door.host.drain(5)
        assert (door.host.live_calls, door.bare.live_calls) == (0, 0)


async def test_a_goodbye_by_rtcp_ends_the_call_at_once(listening: Listening):
    async with opened(listening, agents=[SILENT], silence_s=600) as door:
        sound = await FarEnd().open()
        reports = await beside(sound)
        sound.send(packet(), door.port)
        await door.until("media_started")
        reports.send(bytes(RtcpByePacket(sources=[7])), door.port + 1)

        assert (await door.until("call_ended")).reason == "caller"
        sound.close()
        reports.close()


async def test_two_callers_at_one_port_are_two_calls(listening: Listening):
    async with (
        opened(listening) as door,
        caller_at(door.port) as one,
        caller_at(door.port) as other,
    ):
        await asyncio.gather(one.hear(10), other.hear(10))

        assert door.count("call_started") == door.bare.live_calls == 2
        voices = [{p.ssrc for p in each.sound.packets} for each in (one, other)]
        assert [len(each) for each in voices] == [1, 1]
        assert voices[0] != voices[1]


async def test_what_a_signal_would_be_needed_for_is_refused(listening: Listening):
    async with opened(listening, agents=[SILENT]) as door, caller_at(door.port):
        control = await door.control()

        with pytest.raises(NotSupported, match="transferred"):
            await control.transfer("sip:desk@127.0.0.1")


# ── what begins no call ──────────────────────────────────────────────────────────────────────


async def test_only_sound_of_a_known_kind_begins_a_call(listening: Listening):
    async with opened(listening) as door:
        sound = await FarEnd().open()
        wrong = [b"", b"hello", packet(kind=97), packet(kind=101), packet(payload=b"")]
        wrong += [bytes(RtcpByePacket(sources=[7])), packet()[:11], b"\x40" + packet()[1:]]
        for data in wrong:
            sound.send(data, door.port)
        right = await FarEnd().open()
        right.send(packet(), door.port)
        started = await door.until("call_started")

        assert started.call.caller.endswith(f":{right.port}")
        assert door.bare.live_calls == 1
        sound.close()
        right.close()


async def test_a_flood_of_sources_gets_no_more_calls_than_there_are_lines(listening: Listening):
    async with opened(listening, max_calls=3, options={"calls_per_s": 0}) as door:
        sources = [await FarEnd().open() for _ in range(30)]
        for number in range(3):
            for source in sources:
                source.send(packet(number), door.port)
        await door.until("media_started", times=3)

        assert door.host.live_calls == door.bare.live_calls == door.count("call_started") == 3
        for source in sources:
            source.close()


async def test_no_more_calls_begin_in_a_second_than_are_allowed(listening: Listening):
    async with opened(listening, max_calls=9, options={"calls_per_s": 2}) as door:
        sources = [await FarEnd().open() for _ in range(5)]
        for source in sources:
            source.send(packet(), door.port)
        await door.until("media_started", times=2)

        assert door.bare.live_calls == 2
        for source in sources:
            source.close()


async def test_whoever_is_not_on_the_list_begins_no_call(listening: Listening):
    peers = (ipaddress.ip_network("127.0.0.2/32"),)
    async with opened(listening, options={"peers": peers, "host": "0.0.0.0"}) as door:
        stranger, peer = await FarEnd().open(), await FarEnd().open("127.0.0.2")
        stranger.send(packet(), door.port)
        peer.send(packet(), door.port)

        assert (await door.until("call_started")).call.caller == f"rtp:127.0.0.2:{peer.port}"
        assert door.bare.live_calls == 1
        stranger.close()
        peer.close()


async def test_while_it_goes_down_nobody_new_is_answered_and_calls_go_on(listening: Listening):
    async with opened(listening) as door, caller_at(door.port) as caller:
        await door.until("media_started")
        door.bare.drain()
        late = await FarEnd().open()
        late.send(packet(), door.port)
        await caller.hear(10)

        assert door.bare.live_calls == 1
        late.close()


async def test_a_quota_that_is_spent_leaves_nothing_behind(listening: Listening):
    spent = _Spent()
    async with opened(listening, admission=spent) as door:
        sound = await FarEnd().open()
        sound.send(packet(), door.port)
        await spent.asked.wait()
        lines = door.bare.live_calls
        spent.go.set()
        await door.host.drain(5)

        assert lines == 1
        assert (door.host.live_calls, door.count("call_started")) == (0, 0)
        sound.close()


async def test_the_rest_of_a_call_that_the_agent_ended_is_no_new_call_but_a_new_stream_is(
    listening: Listening,
):
    async with opened(listening, agents=[SILENT]) as door:
        sound = await FarEnd().open()
        sound.send(packet(0), door.port)
        (await door.control()).end("agent")
        ended = await door.until("call_ended")
        sound.send(packet(1), door.port)
        sound.send(packet(0, ssrc=8), door.port)
        again = await door.until("media_started", times=2)

        assert again.call_id != ended.call_id
        assert door.count("call_started") == 2
        assert door.bare.live_calls == 1
        sound.close()


async def test_noise_on_the_port_disturbs_nobodys_call(listening: Listening):
    chance = random.Random(7)
    async with (
        opened(listening, max_calls=1, options={"calls_per_s": 0}) as door,
        caller_at(door.port) as caller,
    ):
        await door.until("media_started")
        stranger = await FarEnd().open()
        for number in range(500):
            data = chance.randbytes(chance.randrange(60))
            # Half of it looks like RTP at first sight.
            stranger.send(
                data if number % 2 else bytes([0x80 | chance.randrange(64)]) + data,
                door.port + number % 3 // 2,
            )
        await caller.hear(10)

        assert (door.bare.live_calls, door.count("call_ended")) == (1, 0)
        stranger.close()


# ── settings ─────────────────────────────────────────────────────────────────────────────────


def test_sound_that_everybody_could_send_is_refused_at_the_start():
    open_to_all = load_settings({"rtp_port": 5004, "rtp_bind_ip": "0.0.0.0"}, env_file=NO_FILE)
    at_home = load_settings({"rtp_port": 5004}, env_file=NO_FILE)

    with pytest.raises(BadSettings, match="RTP_PORT=5004"):
        open_to_all.require_safe_telephone()
    at_home.require_safe_telephone()
    assert at_home.takes_bare_sound


def test_with_sip_the_port_is_the_first_of_the_range_unless_a_range_is_set():
    sip = {"sip": True, "rtp_port": 5004}

    alone = load_settings(sip, env_file=NO_FILE)
    ranged = load_settings({**sip, "rtp_min_port": 15_000}, env_file=NO_FILE)

    assert not alone.takes_bare_sound
    assert alone.rtp_range == (5004, 15_004)
    assert ranged.rtp_range == (15_000, 20_000)


class _Spent:
    """An admission that takes its time, and then refuses."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def reserve(self, call: CallInfo) -> Reservation:
        self.asked.set()
        await self.go.wait()
        raise QuotaExceeded("The quota is spent.")
