"""Realtime over WebRTC: the call, its events, its sound, and who may do what to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack

import httpx
import openai
import pytest
from openai.types.realtime.client_secret_create_response import ClientSecretCreateResponse
from websockets.exceptions import InvalidStatus

from parley.core.audio import Audio
from parley.engines.spec import SpeechOptions
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.transports.realtime.sideband import MOST_AT_ONE_CALL
from tests.session.fakes import agent_with
from tests.transports.realtime.client import RATE_HZ
from tests.transports.realtime.rtc import RtcHouse, rtc_house
from tests.transports.webrtc.callers import tone
from tests.transports.webrtc.conftest import settled

GREETER = agent_with()
QUIET = agent_with(name="quiet", greeting="")
LONG = " ".join(f"word{number}" for number in range(1, 61))


class Singer(FakeSynthesizer):
    """Its words are a tone that Opus lets through."""

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        async for piece in super().synthesize(text, options):
            sung = tone(500, round(piece.duration_ms), piece.rate_hz)
            yield Audio(sung, piece.rate_hz, piece.words)


@pytest.fixture
async def house(listening: Listening) -> AsyncIterator[RtcHouse]:
    """Its agent says a long sentence to whatever it hears."""
    engines = {
        "stt": FakeTranscriber("what time is it", "stop"),
        "llm": FakeChatter(lambda _: LONG),
        "tts": Singer(word_ms=100, piece_ms=20),
    }
    async with rtc_house(listening, [QUIET, GREETER], **engines) as house:
        yield house


# ── the call ─────────────────────────────────────────────────────────────────────────────────


async def test_a_form_with_a_session_begins_a_call_that_is_like_it(house: RtcHouse):
    session = {"type": "realtime", "instructions": "Be brief.", "model": "agent:quiet"}
    async with house.client(session=session) as client:
        created = client.told[0]

    assert created["type"] == "session.created"
    assert created["session"]["instructions"] == "Be brief."
    assert created["session"]["model"] == "agent:quiet"
    assert client.call_id.startswith("rtc_")
    assert "a=candidate:" in client.answer and "a=end-of-candidates" in client.answer
    await house.empty()


async def test_a_bare_offer_begins_a_call_with_the_model_of_the_url(house: RtcHouse):
    async with house.client(model="agent:tester") as client:
        greeting = await client.done()
        await client.until("output_audio_buffer.stopped")

    assert client.told[0]["session"]["model"] == "agent:tester"
    assert greeting["output"][0]["content"] == [{"type": "output_audio", "transcript": "Hello."}]


async def test_a_spoken_answer_travels_in_the_track_and_its_events_in_order(
    house: RtcHouse, words: bytes
):
    house.calls.llm.mind = lambda _: "Half past nine."
    async with house.client() as client:
        client.say(words, RATE_HZ)
        started = await client.until("output_audio_buffer.started")
        await client.until("output_audio_buffer.stopped")
        response = client.all("response.done")[0]["response"]

    order = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "response.created",
        "response.content_part.added",
        "output_audio_buffer.started",
        "response.output_audio_transcript.done",
        "response.done",
        "output_audio_buffer.stopped",
    ]
    types = client.types()
    assert [kind for kind in types if kind in order] == order
    assert "response.output_audio.delta" not in types
    assert started["response_id"] == response["id"]
    assert response["output"][0]["content"][0]["transcript"] == "Half past nine."
    assert 0.2 < client.heard_s() < 0.6


async def test_an_interrupted_item_holds_what_was_heard(house: RtcHouse, words: bytes):
    async with house.client() as client:
        client.say(words, RATE_HZ)
        await client.until("output_audio_buffer.started")
        client.say(words, RATE_HZ)
        cleared = await client.until("output_audio_buffer.cleared")
        cut = await client.until("conversation.item.truncated")
        first = client.all("response.done")[0]["response"]
        await client.send("conversation.item.retrieve", item_id=cut["item_id"])
        item = (await client.until("conversation.item.retrieved"))["item"]
        await client.until("response.created")

    said = item["content"][0]["transcript"].split()
    remembered = [m["content"] for m in house.calls.llm.asked[-1] if m["role"] == "assistant"]
    assert first["status"] == "cancelled"
    assert first["status_details"]["reason"] == "turn_detected"
    assert cleared["response_id"] == first["id"]
    assert 0 < len(said) < 60
    assert remembered == [" ".join(said)]
    assert abs(cut["audio_end_ms"] - len(said) * 100) <= 140
    types = client.types()
    assert types.index("output_audio_buffer.cleared") > types.index("response.done")


async def test_a_cancelled_response_falls_silent_and_clear_is_answered(house: RtcHouse):
    async with house.client() as client:
        await client.write("Tell me everything.")
        await client.send("response.create")
        await client.until("output_audio_buffer.started")
        await client.send("response.cancel")
        response = await client.done()
        cleared = await client.until("output_audio_buffer.cleared")
        cut = await client.until("conversation.item.truncated")
        await client.send("output_audio_buffer.clear")
        again = await client.until("output_audio_buffer.cleared")

    assert response["status_details"]["reason"] == "client_cancelled"
    assert cleared["response_id"] == again["response_id"] == response["id"]
    assert cut["item_id"] == response["output"][0]["id"]
    assert "output_audio_buffer.stopped" not in client.types()


async def test_clear_in_the_middle_of_a_response_ends_it_and_is_answered_once(house: RtcHouse):
    async with house.client() as client:
        await client.write("Tell me everything.")
        await client.send("response.create")
        await client.until("output_audio_buffer.started")
        await client.send("output_audio_buffer.clear")
        response = await client.done()
        await client.until("conversation.item.truncated")
        await client.update(instructions="Be brief.")

    assert response["status"] == "cancelled"
    assert len(client.all("output_audio_buffer.cleared")) == 1


async def test_faults_are_told_and_the_call_goes_on(house: RtcHouse):
    async with house.client() as client:
        await client.raw("no json")
        codes = [(await client.error())["code"]]
        await client.send("input_audio_buffer.append", audio="AAAA")
        codes.append((await client.error())["code"])
        await client.raw("[1]")
        codes.append((await client.error())["code"])
        shown = await client.update(instructions="Be brief.")

    assert codes == ["invalid_json", "invalid_value", "invalid_json"]
    assert shown["instructions"] == "Be brief."


async def test_committed_turns_are_answered_when_asked(house: RtcHouse, words: bytes):
    async with house.client() as client:
        await client.update(
            audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}
        )
        client.say(words, RATE_HZ)
        await client.said()
        await client.send("input_audio_buffer.commit")
        heard = await client.until("conversation.item.input_audio_transcription.completed")
        await client.send("response.create")
        await client.until("output_audio_buffer.started")

    assert heard["transcript"] == "what time is it"


async def test_an_event_that_is_too_large_for_the_channel_is_an_error(house: RtcHouse):
    async with house.client() as client, house.sideband(client.call_id) as other:
        await other.write("x" * 70_000)
        fault = await client.error()
        shown = await client.update(instructions="Be brief.")

    assert fault["code"] == "event_too_large"
    assert shown["instructions"] == "Be brief."


async def test_a_client_that_hangs_up_ends_the_call(house: RtcHouse):
    async with house.client() as client:
        await client.pc.close()
        await house.empty()


async def test_a_call_that_is_over_leaves_nothing_running(house: RtcHouse):
    before = asyncio.all_tasks()
    async with house.client() as client, house.sideband(client.call_id), house.sdk() as sdk:
        await client.write("Tell me everything.")
        await client.send("response.create")
        await client.until("output_audio_buffer.started")
        await sdk.realtime.calls.hangup(client.call_id)
        await house.empty()

    assert not await settled(before)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"v=0", "application/sdp", 400),
        (b"", "application/sdp", 400),
        (b"x" * 70_000, "application/sdp", 413),
        (b"x" * 600_000, "multipart/form-data; boundary=b", 413),
        (b"{}", "application/json", 415),
        (b"v=0", "", 415),
        (b"nothing", "multipart/form-data; boundary=b", 400),
        (b"nothing", "multipart/form-data", 400),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n--b--', "", 400),
        (b'--b\r\nContent-Disposition: form-data; name="sdp"\r\n\r\ny\r\n--b--\r\n', "", 400),
    ],
)
async def test_what_is_no_offer_is_refused(
    house: RtcHouse, body: bytes, content_type: str, status: int
):
    if not content_type and status == 400:
        content_type = "multipart/form-data; boundary=b"
    async with httpx.AsyncClient(base_url=house.address) as http:
        answer = await http.post(
            "/v1/realtime/calls", content=body, headers={"content-type": content_type}
        )

    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert house.host.live_calls == 0


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"type": "realtime", "output_modalities": ["video"]}, "session.output_modalities.0"),
        ({"type": "realtime", "audio": 5}, "session.audio"),
        ({"type": "else"}, "session.type"),
    ],
)
async def test_a_session_that_makes_no_sense_is_refused(house: RtcHouse, session: dict, param: str):
    with pytest.raises(openai.BadRequestError) as refused:
        async with house.client(session=session):
            pass

    assert refused.value.param == param
    assert house.host.live_calls == 0


# ── control ──────────────────────────────────────────────────────────────────────────────────


async def test_a_call_can_be_hung_up_by_its_name(house: RtcHouse):
    async with house.client() as client, house.sdk() as sdk:
        await sdk.realtime.calls.hangup(client.call_id)
        await house.empty()
        with pytest.raises(openai.NotFoundError) as refused:
            await sdk.realtime.calls.hangup(client.call_id)

    assert refused.value.code == "call_id_not_found"


async def test_telephone_verbs_are_refused_with_a_reason(house: RtcHouse):
    async with house.client() as client, house.sdk() as sdk:
        for refused in (
            sdk.realtime.calls.accept(client.call_id, type="realtime"),
            sdk.realtime.calls.reject(client.call_id),
            sdk.realtime.calls.refer(client.call_id, target_uri="tel:+1"),
        ):
            with pytest.raises(openai.BadRequestError, match="WebRTC"):
                await refused


async def test_nobody_reaches_another_tenants_call(house: RtcHouse):
    async with house.client(key="acme") as client, house.sdk("evil") as sdk:
        with pytest.raises(openai.NotFoundError) as refused:
            await sdk.realtime.calls.hangup(client.call_id)
        with pytest.raises(InvalidStatus) as closed:
            async with house.sideband(client.call_id, key="evil"):
                pass

    assert refused.value.code == "call_id_not_found"
    assert closed.value.response.status_code == 404
    assert b"call_id_not_found" in closed.value.response.body


async def test_a_sideband_hears_all_and_may_order_all(house: RtcHouse):
    async with house.client() as client, house.sideband(client.call_id) as other:
        created = await other.until("session.created")
        await other.update(instructions="You are a pirate.")
        mirrored = await client.until("session.updated")
        await other.raw("no json")
        fault = await other.error()
        await client.write("Hello.")
        await other.send("response.create")
        begun = await client.until("response.created")
        await other.until("response.created", event_id=begun["event_id"])
        await other.until("output_audio_buffer.started")

    assert created["session"]["id"] == client.told[0]["session"]["id"]
    assert mirrored["session"]["instructions"] == "You are a pirate."
    assert fault["code"] == "invalid_json"
    assert not client.all("error")


async def test_a_sideband_that_goes_leaves_the_call_and_a_call_that_ends_its_sidebands(
    house: RtcHouse,
):
    async with house.client() as client:
        async with house.sideband(client.call_id) as other:
            await other.until("session.created")
        shown = await client.update(instructions="Be brief.")
        async with house.sideband(client.call_id) as other, house.sdk() as sdk:
            await other.until("session.created")
            await sdk.realtime.calls.hangup(client.call_id)
            code = await other.over()

    assert shown["instructions"] == "Be brief."
    assert code == 1000


async def test_only_so_many_follow_one_call(house: RtcHouse):
    async with house.client() as client, AsyncExitStack() as others:
        for _ in range(MOST_AT_ONE_CALL):
            await others.enter_async_context(house.sideband(client.call_id))
        with pytest.raises(InvalidStatus) as refused:
            async with house.sideband(client.call_id):
                pass

    assert refused.value.response.status_code == 503


# ── client secrets ───────────────────────────────────────────────────────────────────────────


async def test_a_secret_begins_sessions_that_are_as_it_says(house: RtcHouse):
    async with house.sdk() as sdk:
        made = await sdk.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "realtime", "model": "agent:quiet", "instructions": "Be a pirate."},
        )
    ClientSecretCreateResponse.model_validate(made.model_dump())
    async with house.client(key=made.value) as client:
        spoken = client.told[0]["session"]
        async with house.sdk(made.value) as sdk, sdk.realtime.connect(model="") as socket:
            written = (await socket.recv()).to_dict()["session"]

    assert made.value.startswith("ek_")
    assert made.expires_at == made.session.expires_at
    assert made.session.instructions == "Be a pirate."
    for session in (spoken, written):
        assert session["instructions"] == "Be a pirate."
        assert session["model"] == "agent:quiet"


async def test_what_a_client_says_goes_over_its_secrets_session(house: RtcHouse):
    heard = {"transcription": {"model": "whisper-1"}}
    async with house.sdk() as sdk:
        made = await sdk.realtime.client_secrets.create(
            session={"type": "realtime", "instructions": "Be brief.", "audio": {"input": heard}}
        )
    own = {"type": "realtime", "audio": {"output": {"speed": 1.25}}}
    async with house.client(key=made.value, session=own) as client:
        session = client.told[0]["session"]

    assert session["instructions"] == "Be brief."
    assert session["audio"]["input"]["transcription"] == {"model": "whisper-1"}
    assert session["audio"]["output"]["speed"] == 1.25


async def test_a_secret_reaches_no_call_but_its_own(house: RtcHouse):
    async with house.sdk() as sdk:
        one, other = [
            (await sdk.realtime.client_secrets.create(session={"type": "realtime"})).value
            for _ in range(2)
        ]
    async with house.client(key=one) as client:
        async with house.sdk(other) as sdk:
            with pytest.raises(openai.NotFoundError):
                await sdk.realtime.calls.hangup(client.call_id)
        async with house.sdk(one) as sdk:
            await sdk.realtime.calls.hangup(client.call_id)
        await house.empty()


async def test_a_transcription_session_over_webrtc_writes_down_and_says_nothing(
    house: RtcHouse, words: bytes
):
    async with house.sdk() as sdk:
        made = await sdk.realtime.client_secrets.create(session={"type": "transcription"})
    async with house.client(key=made.value) as client:
        client.say(words, RATE_HZ)
        heard = await client.until("conversation.item.input_audio_transcription.completed")

    assert made.session.type == client.told[0]["session"]["type"] == "transcription"
    assert heard["transcript"] == "what time is it"
    assert not client.all("response.created")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"seconds": 5}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "then"}}, "expires_after.anchor"),
        ({"session": "x"}, "session"),
        ({"session": {"tools": 5}}, "session.tools"),
        ({"session": {"audio": {"output": {"voice": "nobody"}}}}, "voice"),
    ],
)
async def test_a_secret_that_makes_no_sense_is_refused(house: RtcHouse, body: dict, param: str):
    async with httpx.AsyncClient(base_url=house.address) as http:
        answer = await http.post("/v1/realtime/client_secrets", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_an_empty_wish_for_a_secret_is_one(house: RtcHouse):
    async with httpx.AsyncClient(base_url=house.address) as http:
        answer = await http.post("/v1/realtime/client_secrets")

    assert answer.status_code == 200
    ClientSecretCreateResponse.model_validate(answer.json())
