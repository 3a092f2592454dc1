"""The PCM socket, driven as mainline RustPBX's ``voip_bridge`` and MediaPass drive it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import numpy as np
import pytest
from starlette.datastructures import QueryParams

from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import InvalidValue
from parley.engines.spec import Delta, ToolRequest
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber, last_user_text
from parley.testing.speech import FakeSynthesizer
from parley.tools.keypad import KeypadOptions, KeypadProvider
from parley.tools.provider import ProviderContext
from parley.transports.pcm.wishes import RATES_HZ, PcmWishes, mend_query
from tests.caller_voice import recorded
from tests.session.fakes import agent_with
from tests.transports.pcm.clients import (
    MEDIA_PASS,
    VOIP_BRIDGE,
    VOIP_BRIDGE_WIDE,
    WAYS,
    Way,
    pcm_call,
)
from tests.transports.rustpbx.served import pbx_house
from tests.transports.rustpbx.wire import Refused, Wire

QUESTION = recorded("what time is it")
NO_KEYS = ("no JSON", "[]", '{"type":"dtmf"}', '{"type":"dtmf","digit":7}', "[" * 9999)


def echoes() -> FakeChatter:
    return FakeChatter(lambda messages: f"You said {last_user_text(messages)}.")


def address(url: str, way: Way) -> str:
    """What the operator writes into the PBX's configuration."""
    return f"{url}/ws/pcm?agent=tester" + (f"&rate={way.sends_hz}" if way.knows_keys else "")


@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_a_caller_is_greeted_understood_and_answered(listening: Listening, way: Way):
    stt = FakeTranscriber("what time is it")
    async with (
        pbx_house(listening, stt=stt, llm=echoes()) as house,
        pcm_call(address(house.url, way), way) as client,
    ):
        await house.happened.until("turn_ended")
        greeted_ms = client.heard_ms
        await client.speak(QUESTION)
        await house.happened.until("turn_ended", 2)
        answered_ms = client.heard_ms - greeted_ms

    ended = [event for event in house.happened.events if event.name == "turn_ended"]
    started = next(event for event in house.happened.events if event.name == "call_started")
    assert ended[1].heard == "You said what time is it."
    assert stt.heard_ms[0] == pytest.approx(Audio(QUESTION, 16_000).duration_ms, abs=1500)
    # A word of the fake voice lasts 20 ms; the last 20 ms are filled up with silence.
    assert greeted_ms == pytest.approx(20, abs=25)
    assert answered_ms == pytest.approx(6 * 20, abs=25)
    assert {len(chunk.pcm) for chunk in client.heard} == {pcm_bytes(20, way.plays_hz)}
    assert started.call.transport == "pcm"


@pytest.mark.parametrize("way", [VOIP_BRIDGE, MEDIA_PASS], ids=str)
async def test_a_voice_over_the_agents_stops_it(listening: Listening, way: Way):
    greeting = " ".join(["word"] * 60) + "."
    agents = [agent_with(greeting=greeting)]
    async with (
        pbx_house(listening, agents=agents, tts=FakeSynthesizer(word_ms=200)) as house,
        pcm_call(address(house.url, way), way) as client,
    ):
        await client.hears(400)
        await client.speak(QUESTION)
        stopped = await house.happened.until("agent_speech_stopped")
        ended = await house.happened.until("turn_ended")
        heard_ms = client.heard_ms

    assert ended.interrupted
    assert stopped.played_ms < 8000
    assert heard_ms == pytest.approx(stopped.played_ms, abs=60)


async def test_keys_that_the_caller_presses_are_heard(listening: Listening):
    async with (
        pbx_house(listening) as house,
        pcm_call(address(house.url, VOIP_BRIDGE), VOIP_BRIDGE) as client,
    ):
        await house.happened.until("media_started")
        for text in (
            "no JSON",
            "[]",
            '{"type":"dtmf"}',
            '{"type":"dtmf","digit":7e99}',
            "[" * 9999,
        ):
            await client.say_text(text)
        await client.press("5")
        await client.press("#")
        second = await house.happened.until("dtmf_received", 2)
        found = [event for event in house.happened.events if event.name == "dtmf_received"]

    assert [event.digit for event in found] == ["5", "#"]
    assert second.call_id == found[0].call_id


async def test_the_keypad_tool_presses_keys_for_the_far_side(listening: Listening):
    asked = ToolRequest(id="t1", name="send_digits", arguments={"digits": "12#"})
    replies = iter([Delta(tools=(asked,)), Delta(text="Sent.")])
    tools = KeypadProvider().tools(KeypadOptions(), ProviderContext("", partial(datetime.now, UTC)))
    async with (
        pbx_house(
            listening,
            stt=FakeTranscriber("press it"),
            llm=FakeChatter(lambda _: next(replies)),
            tools=tools,
        ) as house,
        pcm_call(address(house.url, VOIP_BRIDGE), VOIP_BRIDGE) as client,
    ):
        await house.happened.until("turn_ended")
        await client.speak(QUESTION)
        keys = await client.gets_keys(3)
        ended = await house.happened.until("tool_ended")

    assert keys == "12#"
    assert ended.error == ""


async def test_who_hangs_up_is_told_apart(listening: Listening):
    async with pbx_house(listening) as house:
        async with pcm_call(address(house.url, VOIP_BRIDGE), VOIP_BRIDGE) as client:
            started = await house.happened.until("media_started")
            control = house.host.find(started.call_id)
            assert control is not None
            control.end("agent")
            code = await client.over()
            first = await house.happened.until("call_ended")
        async with pcm_call(address(house.url, MEDIA_PASS), MEDIA_PASS):
            await house.happened.until("media_started", 2)
        second = await house.happened.until("call_ended", 2)

    assert code == 1000
    assert (first.reason, second.reason) == ("agent", "caller")


async def test_chunks_of_any_size_are_one_sound(listening: Listening):
    stt = FakeTranscriber("odd", "even")
    async with (
        pbx_house(listening, stt=stt) as house,
        pcm_call(f"{house.url}/ws/pcm?rate=16000", VOIP_BRIDGE_WIDE) as client,
    ):
        await house.happened.until("turn_ended")
        client.fall_silent()
        sound = QUESTION + bytes(pcm_bytes(1200, 16_000))
        for size in (777, 64_000):
            for at in range(0, len(sound), size):
                await client.send_raw(sound[at : at + size])
            await house.happened.until("turn_ended", 2 + (size > 777))

    told = [event for event in house.happened.events if event.name == "user_transcript"]
    said = [event.text for event in told if event.final]
    assert said == ["odd", "even"]
    assert min(stt.heard_ms) > Audio(QUESTION, 16_000).duration_ms / 2


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("agent=nobody", 404, "nobody"),
        ("rate=11025", 400, "8000"),
        ("rate=many", 400, "8000"),
        ("voice_rate=-1", 400, "8000"),
    ],
)
async def test_a_wrong_address_is_answered_with_what_to_do(
    listening: Listening, query: str, status: int, word: str
):
    async with pbx_house(listening) as house:
        with pytest.raises(Refused) as refused:
            await Wire.open(f"{house.url}/ws/pcm?{query}")
        live = house.host.live_calls

    assert refused.value.status == status
    assert word in refused.value.body
    assert live == 0


async def test_a_full_house_refuses_and_the_next_call_is_taken(listening: Listening):
    async with pbx_house(listening, max_calls=1) as house:
        async with pcm_call(address(house.url, VOIP_BRIDGE), VOIP_BRIDGE):
            with pytest.raises(Refused) as refused:
                await Wire.open(f"{house.url}/ws/pcm")
        await house.empty()
        async with pcm_call(address(house.url, VOIP_BRIDGE), VOIP_BRIDGE) as client:
            await client.hears(20)

    assert refused.value.status == 503


async def test_a_packet_that_is_none_ends_that_call_alone(listening: Listening):
    async with (
        pbx_house(listening) as house,
        pcm_call(f"{house.url}/ws/pcm", VOIP_BRIDGE) as good,
        pcm_call(f"{house.url}/ws/pcm", VOIP_BRIDGE) as bad,
    ):
        await good.hears(20)
        await bad.send_raw(bytes(1024 * 1024))
        code = await bad.over()
        ended = await house.happened.until("call_ended")
        is_over = good.is_over

    assert code == 1009
    assert ended.reason == "caller"
    assert not is_over


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", PcmWishes()),
        ("rate=16000", PcmWishes(rate_hz=16_000, voice_rate_hz=16_000)),
        ("agent=a?sample_rate=16000&packet_size=2560", PcmWishes("a", 16_000, 16_000)),
        ("rate=8000&voice_rate=24000?sample_rate=16000", PcmWishes("", 16_000, 24_000)),
        ("caller=%2B49%3F&call_id=x", PcmWishes(caller="+49?", far_call_id="x")),
        ("caller=%00Ann%0a%1b[31m&call_id=%7f", PcmWishes(caller="Ann[31m")),
    ],
)
def test_the_address_says_everything_even_with_two_queries(query: str, wanted: PcmWishes):
    scope = {"query_string": query.encode()}
    mend_query(scope)

    assert PcmWishes.read(QueryParams(scope["query_string"])) == wanted


def test_every_rate_is_cut_into_whole_pieces():
    assert all(rate_hz * 20 % 1000 == 0 for rate_hz in RATES_HZ)
    with pytest.raises(InvalidValue):
        PcmWishes.read({"rate": "٨٠٠٠"})


def test_the_recording_has_sound():
    assert np.abs(np.frombuffer(QUESTION, np.int16)).max() > 3000


async def test_a_caller_who_leaves_during_the_goodbye_is_not_spoken_to_any_longer(
    listening: Listening,
):
    agents = [agent_with(goodbye=" ".join(["word"] * 15) + ".")]
    async with pbx_house(listening, agents=agents, tts=FakeSynthesizer(word_ms=200)) as house:
        async with pcm_call(address(house.url, VOIP_BRIDGE), VOIP_BRIDGE) as client:
            await house.happened.until("turn_ended")
            control = house.host.find(house.happened.events[0].call_id)
            assert control is not None
            control.end("limit")
            await client.hears(600)
        await house.happened.until("call_ended", limit_s=5)
        heard_ms = client.heard_ms

    assert heard_ms < 3000
