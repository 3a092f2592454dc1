"""Whatever is sent to the sockets, an error or a close code comes back, and no other call is
touched."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from parley.session.turns import Listening
from parley.testing.speech import FakeSynthesizer
from parley.transports.rustpbx.options import RustPbxOptions
from tests.session.fakes import agent_with
from tests.transports.rustpbx.clients import A, C, PbxClient, pbx_call
from tests.transports.rustpbx.grammar import read_message
from tests.transports.rustpbx.served import PbxHouse, pbx_house
from tests.transports.rustpbx.wire import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MIB = 1024 * 1024
# Ours to give: goodbye, too many faults, too large. 1011 would be a crash, 1006 a torn connection.
WANTED_CODES = {1000, 1008, 1009}
LAST_PING = 4_242_424_242

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)
BYTE_LISTS = st.lists(st.integers(0, 255), max_size=40)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "audio_data": BYTE_LISTS | JSON,
    "data": BYTE_LISTS | JSON,
    "samples": st.lists(st.integers(-40_000, 40_000), max_size=20) | JSON,
    "sample_rate": st.sampled_from([8000, 16_000, 48_000, 0, -1, 2**31, 2**64, 16_000.0]) | JSON,
    "channels": st.sampled_from([1, 2, 0, 3, "1"]) | JSON,
    "timestamp": st.sampled_from([0, 1, 2**64 - 1, 2**64, 1.5, -1]) | JSON,
    "frame_id": st.text(max_size=30) | st.sampled_from(["r_1", "r_99999999", "r_-1", "r_٣"]) | JSON,
    "room_id": st.text(max_size=300) | JSON,
    "system_prompt": st.text(max_size=50) | JSON,
    "stt_config": st.dictionaries(st.sampled_from(["language", "sample_rate", "model"]), JSON)
    | JSON,
    "llm_config": JSON,
    "tts_config": st.fixed_dictionaries({"sample_rate": st.integers() | JSON}) | JSON,
    "reason": JSON,
}
NAMES = st.sampled_from(
    ["configure", "audio", "ping", "configure", "audio", "hang_up", "", "AUDIO"]
)
TEXTS = st.one_of(
    st.text(max_size=60),
    JSON.map(json.dumps),
    st.builds(
        lambda key, name, fields: json.dumps({key: name, **fields}),
        st.sampled_from(["command", "command", "type", "event"]),
        NAMES | JSON,
        st.fixed_dictionaries({}, optional=FIELDS),
    ),
)
MESSAGES = st.lists(TEXTS | st.binary(max_size=1500), min_size=1, max_size=8)


@dataclass
class Abused:
    """A server, and a call on it that has nothing to do with what is sent by others."""

    house: PbxHouse
    bystander: PbxClient

    async def goes_on(self) -> None:
        """The other call lives, and is spoken to."""
        assert not self.bystander.is_over
        await self.bystander.heard(40)

    async def answer_to(self, path: str, sent: list[str | bytes]) -> int:
        """Send it all and then a ping: 0 when that was answered, or else the close code. Whatever
        comes must be what the real client can read."""
        wire = await Wire.open(self.house.url + path)
        try:
            with suppress(ConnectionError):
                for message in sent:
                    await _send(wire, message)
                await _send(wire, json.dumps({"command": "ping", "timestamp": LAST_PING}))
            async with asyncio.timeout(15):
                return await _last_word(wire)
        finally:
            wire.drop()


async def _send(wire: Wire, message: str | bytes) -> None:
    if isinstance(message, str):
        await wire.send_text(message)
    else:
        await wire.send_binary(message)


async def _last_word(wire: Wire) -> int:
    while (arrived := await wire.next()) is not None:
        if arrived.kind == "close":
            return arrived.code
        if arrived.kind == "text":
            message = read_message(arrived.data)
            if message["type"] == "pong" and message["timestamp"] == LAST_PING:
                return 0
    return 1006


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def abused(listening: Listening) -> AsyncIterator[Abused]:
    # The bystander is spoken to for two minutes.
    speaker = agent_with(name="speaker", greeting=" ".join(["word"] * 600) + ".")
    options = RustPbxOptions(grace_s=0.05)
    async with (
        pbx_house(
            listening,
            agents=(agent_with(), speaker),
            tts=FakeSynthesizer(word_ms=200),
            options=options,
            max_calls=100,
        ) as house,
        pbx_call(f"{house.url}/?agent=speaker", C) as bystander,
    ):
        await bystander.until("tts_started")
        yield Abused(house, bystander)


@EXAMPLES
@given(sent=MESSAGES)
@example(
    sent=[json.dumps({"command": "configure", "room_id": "\ud800", "system_prompt": "\ud800"})]
)
@example(sent=[json.dumps({"command": "\ud800"})])
@example(sent=['{"command":"ping","timestamp":1e999}', '{"command":"ping","timestamp":NaN}'])
@example(sent=["[" * 100_000])
@example(sent=['{"command":"ping","timestamp":' + "1" * 5000 + "}"])
@example(sent=[b"\x01", b"\x01\x02\x03", bytes(999_999)])
@example(sent=['{"command":"configure","room_id":"x"}'] * 50)
async def test_nothing_that_is_sent_breaks_more_than_it_says(
    abused: Abused, sent: list[str | bytes]
):
    code = await abused.answer_to("/ws/rustpbx", sent)

    assert code == 0 or code in WANTED_CODES
    await abused.goes_on()


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        ('{"command":"sing"}', "sing"),
        ("hello", "JSON"),
        ('{"command":"audio"}', "audio_data"),
        ('{"command":"audio","audio_data":[0,99999]}', "audio_data"),
        ('{"command":"audio","audio_data":[0,1.5]}', "audio_data"),
        ('{"command":"audio","audio_data":[0,0],"sample_rate":-8000}', "sample_rate"),
        ('{"command":"configure","stt_config":"nova"}', "stt_config"),
    ],
)
async def test_who_sends_what_makes_no_sense_is_told_so_and_stays(
    abused: Abused, sent: str, word: str
):
    async with pbx_call(f"{abused.house.url}/ws/rustpbx", A) as client:
        wire = client._wire
        assert wire is not None
        await wire.send_text(sent)
        error = await client.until("error")
        await client.send(command="ping", timestamp=7)
        await client.until("pong", timestamp=7)

    assert word in error["message"]
    assert error["code"] == 400


async def test_who_goes_on_sending_what_makes_no_sense_is_sent_away(abused: Abused):
    code = await abused.answer_to("/ws/rustpbx", ["nonsense"] * 500)

    assert code == 1008
    await abused.goes_on()


@pytest.mark.parametrize("path", ["/ws/rustpbx", "/", "/ws/pcm"])
@pytest.mark.parametrize("is_text", [True, False])
async def test_a_message_that_is_too_large_closes_its_own_socket_alone(
    abused: Abused, path: str, is_text: bool
):
    large = b"[" + b"0," * (3 * MIB) + b"0]"
    code = await abused.answer_to(path, [large.decode() if is_text else large])

    assert code == 1009
    await abused.goes_on()


@pytest.mark.parametrize("path", ["/ws/rustpbx", "/ws/pcm"])
async def test_65_mib_are_refused_before_they_are_read(abused: Abused, path: str):
    wire = await Wire.open(abused.house.url + path)
    # The head of one frame of 65 MiB, masked, and none of its bytes.
    await wire.send_raw(struct.pack("!BBQ4s", 0x82, 0xFF, 65 * MIB, b"mask"))
    async with asyncio.timeout(15):
        announced = await _last_word(wire)
    wire.drop()
    sent = await abused.answer_to(path, [bytes(65 * MIB)])

    assert announced == 1009
    # Who goes on sending may find the connection reset before the code comes.
    assert sent in (1009, 1006)
    await abused.goes_on()


async def test_pongs_that_nobody_asked_for_are_no_offence(abused: Abused):
    wire = await Wire.open(f"{abused.house.url}/ws/rustpbx")
    for number in range(20):
        await wire.pong(str(number).encode())
    await wire.send_text(json.dumps({"command": "ping", "timestamp": LAST_PING}))
    async with asyncio.timeout(15):
        answered = await _last_word(wire)
    wire.drop()

    assert answered == 0


async def test_a_room_of_another_tenant_cannot_be_taken_over(abused: Abused):
    room_id = abused.bystander.room_id
    url = f"{abused.house.url}/ws/rustpbx?tenant=stranger"
    async with pbx_call(url, A, room_id=room_id) as stranger:
        await stranger.until("configured")
        await stranger.until("tts_completed")
        await stranger.reconfigure("Say what you were told.")
        await stranger.until("configured")

    room = abused.house.door.rooms.get("default", room_id)
    assert room.prompt is None
    await abused.goes_on()


@EXAMPLES
@given(
    sent=st.lists(st.text(max_size=60) | JSON.map(json.dumps) | st.binary(max_size=999), max_size=8)
)
async def test_nothing_that_is_sent_breaks_the_pcm_socket(abused: Abused, sent: list[str | bytes]):
    wire = await Wire.open(f"{abused.house.url}/ws/pcm")
    for message in sent:
        await _send(wire, message)
    async with asyncio.timeout(15):
        arrived = await wire.next()
    wire.drop()

    # The greeting comes all the same.
    assert arrived is not None and arrived.kind == "binary"
    await abused.goes_on()
