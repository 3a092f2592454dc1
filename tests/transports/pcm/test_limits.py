"""What a PCM socket is refused: it has the lines of all PBXes, and the sockets of its peer."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from parley.session.turns import Listening
from parley.transports.rustpbx.options import RustPbxOptions
from tests.session.fakes import agent_with
from tests.transports.pcm.clients import VOIP_BRIDGE, pcm_call
from tests.transports.rustpbx.house import pbx
from tests.transports.rustpbx.served import PbxHouse, pbx_house
from tests.transports.rustpbx.wire import Refused, Wire

MUTE = agent_with(greeting="", turn_taking={"idle_s": 0})


async def refusal(house: PbxHouse, path: str = "/ws/pcm") -> tuple[int, str]:
    """How a handshake there is answered."""
    with pytest.raises(Refused) as refused:
        await Wire.open(house.url + path)
    return refused.value.status, refused.value.body


async def test_sockets_are_limited_for_each_peer_whatever_they_speak(listening: Listening):
    options = RustPbxOptions(sockets_per_peer=2)
    async with pbx_house(listening, agents=[MUTE], options=options) as house:
        async with pcm_call(f"{house.url}/ws/pcm", VOIP_BRIDGE), pbx(f"{house.url}/ws/rustpbx"):
            answers = [await refusal(house, path) for path in ("/ws/pcm", "/ws/rustpbx")]
        await house.empty()
        async with pcm_call(f"{house.url}/ws/pcm", VOIP_BRIDGE):
            await house.happened.until("media_started", 2)

    assert [status for status, _ in answers] == [429, 429]
    assert all("too many sockets" in body for _, body in answers)


async def test_sockets_are_limited_in_how_fast_they_come(listening: Listening):
    options = RustPbxOptions(sockets_per_s=1)
    async with (
        pbx_house(listening, agents=[MUTE], options=options) as house,
        pcm_call(f"{house.url}/ws/pcm", VOIP_BRIDGE),
    ):
        status, body = await refusal(house)

    assert status == 429
    assert "at once" in body


async def test_calls_of_all_pbxes_are_counted_together(listening: Listening):
    options = RustPbxOptions(max_calls=2, grace_s=0.05)
    async with pbx_house(listening, agents=[MUTE], options=options) as house:
        async with AsyncExitStack() as stack:
            bridged = await stack.enter_async_context(pcm_call(f"{house.url}/ws/pcm", VOIP_BRIDGE))
            called = await stack.enter_async_context(pbx(f"{house.url}/ws/rustpbx"))
            await called.configure("rustpbx_1")
            await house.happened.until("media_started", 2)
            status, body = await refusal(house)
            is_over = bridged.is_over
        await house.empty()
        async with pcm_call(f"{house.url}/ws/pcm", VOIP_BRIDGE):
            await house.happened.until("media_started", 3)

    assert (status, is_over) == (503, False)
    assert "All 2 lines of PBXes are busy." in body


async def test_a_pcm_call_is_none_that_another_socket_carries_on(listening: Listening):
    options = RustPbxOptions(max_calls=1)
    async with (
        pbx_house(listening, agents=[MUTE], options=options) as house,
        pcm_call(f"{house.url}/ws/pcm", VOIP_BRIDGE),
    ):
        status, _ = await refusal(house, "/ws/rustpbx")

    assert status == 503


async def test_a_pcm_call_may_last_only_so_long(listening: Listening):
    options = RustPbxOptions(call_s=0.3)
    async with (
        pbx_house(listening, agents=[MUTE], options=options) as house,
        pcm_call(f"{house.url}/ws/pcm", VOIP_BRIDGE) as client,
    ):
        ended = await house.happened.until("call_ended")
        code = await client.over()

    assert (ended.reason, code) == ("limit", 1000)


async def test_a_refused_handshake_leaves_no_line_and_no_socket_taken(listening: Listening):
    async with pbx_house(listening, agents=[MUTE]) as house:
        await refusal(house, "/ws/pcm?agent=nobody")
        await refusal(house, "/ws/pcm?rate=1")
        sockets, live = house.door.lines.sockets, house.host.live_calls

    assert (sockets, live) == (0, 0)


async def test_keys_are_heard_as_fast_as_anybody_presses_them(listening: Listening):
    async with pbx_house(listening, agents=[MUTE]) as house:
        async with pcm_call(f"{house.url}/ws/pcm", VOIP_BRIDGE) as client:
            await house.happened.until("media_started")
            client.fall_silent()
            for _ in range(60):
                await client.press("1" * 64)
            await house.happened.until("dtmf_received", 64)
        await house.empty()
    pressed = [event for event in house.happened.events if event.name == "dtmf_received"]

    # 3840 were sent. What somebody presses within some seconds gets through, and no more.
    assert 64 <= len(pressed) < 1500


@pytest.mark.parametrize("path", ["/ws/pcm", "/ws/rustpbx?tick=off"])
async def test_sound_that_is_too_much_is_told_of_now_and_then(
    listening: Listening, path: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("parley.transports.reading_pace.BYTES_PER_S", 1e9)
    async with pbx_house(listening, agents=[MUTE], options=RustPbxOptions(grace_s=0.05)) as house:
        wire = await Wire.open(house.url + path)
        for _ in range(200):
            # Four seconds each, which is more than is kept after a few: for some seconds there is
            # something new to be told every 20 ms.
            await wire.send_binary(bytes(128_000))
        await house.happened.until("audio_skipped")
        wire.drop()
        await house.empty()
    skipped = [event for event in house.happened.events if event.name == "audio_skipped"]
    ended = next(event for event in house.happened.events if event.name == "call_ended")

    assert 1 <= len(skipped) <= ended.duration_s + 2
