"""Telephones and proxies that come over IPv6, to a house of IPv6 alone and to one of both."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from parley.session.dialling import Dial
from parley.session.turns import Listening
from parley.testing.engines import FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.transports.sip.sound_places import SoundPlaces
from tests.caller_voice import CallerVoice
from tests.session.fakes import agent_with
from tests.transports.sip.callee import Callee
from tests.transports.sip.caller import PhoneCaller, phone_caller
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import SDP_LINE, stream_phone
from tests.transports.sip.rtp.far_end import sdp
from tests.transports.sip.sipp import Sipp
from tests.transports.sip.switchboard import Switchboard, switchboard

V4, V6, BOTH = "127.0.0.1", "::1", "::"
SILENT = agent_with(greeting="")
LONG = agent_with(greeting="one two three four five six seven eight nine ten")


@pytest.fixture(autouse=True)
def ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as trying:
            trying.bind((V6, 0))
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 ({error})")


async def ask(board: Switchboard, caller: PhoneCaller) -> Any:
    """What the house has understood of a question, and that its answer was heard."""
    await caller.speak(await CallerVoice()("what time is it"))
    await caller.hear(100)
    return await board.until("user_transcript")


async def test_a_caller_over_ipv6_is_heard_and_hears(listening: Listening):
    engines = {"stt": FakeTranscriber("what time is it"), "tts": FakeSynthesizer(word_ms=200)}
    async with (
        switchboard(listening, agents=[SILENT], sip={"host": V6}, **engines) as board,
        phone_caller(board.telephone.endpoint.port, host=V6) as caller,
    ):
        answer = await caller.call()
        said = await ask(board, caller)
        caller.leave()

        assert (await board.until("call_ended")).reason == "caller"
        assert await board.is_free()
    port = board.telephone.endpoint.port
    assert said.text == "what time is it"
    assert answer.header("contact") == f"<sip:parley@[::1]:{port}>"
    assert answer.header("via").endswith("received=[::1]")
    assert "c=IN IP6 ::1" in answer.body


async def test_a_house_of_both_families_talks_to_each_caller_in_its_own(listening: Listening):
    async with (
        switchboard(listening, sip={"host": BOTH}) as board,
        phone_caller(board.telephone.endpoint.port) as older,
        phone_caller(board.telephone.endpoint.port, host=V6) as newer,
    ):
        answers = await older.call(), await newer.call()
        await older.hear(10)
        await newer.hear(10)

    told = [each.body.partition("c=IN ")[2].partition("\r\n")[0] for each in answers]
    assert told == [f"IP4 {V4}", f"IP6 {V6}"]
    assert [V4 in each.header("contact") for each in answers] == [True, False]


@pytest.mark.parametrize("far", [V4, V6])
async def test_both_families_come_in_by_tcp_as_well(far: str, listening: Listening):
    async with (
        switchboard(listening, sip={"host": BOTH}) as board,
        stream_phone(board.telephone.endpoint.port, host=far) as phone,
    ):
        answer = await phone.call(uri="sip:tester@house.example", body=sdp(4000, host=far))
        await board.until("media_started")
        (await board.control()).end("error")
        phone.reply(await phone.hear("BYE"), "200 OK")
        await board.until("call_ended")

    assert f" {far}\r\n" in answer.body
    assert phone.host in answer.header("contact")


async def test_somebody_is_called_over_ipv6(listening: Listening):
    engines = {"stt": FakeTranscriber("what time is it"), "tts": FakeSynthesizer(word_ms=200)}
    async with (
        switchboard(listening, agents=[SILENT], sip={"host": BOTH}, **engines) as board,
        phone_caller(9, host=V6) as caller,
    ):
        callee = Callee(caller)
        await board.telephone.dial(Dial(target=callee.address, tenant="default"))
        invite = await callee.answer()
        said = await ask(board, caller)
        (await board.control()).end("agent")
        await caller.hear_goodbye()

        assert await board.is_free()
    port = board.telephone.endpoint.port
    assert said.text == "what time is it"
    assert invite.uri == callee.address
    assert invite.header("via").startswith(f"SIP/2.0/UDP [::1]:{port};")
    assert "c=IN IP6 ::1" in invite.body


async def test_sound_may_be_of_another_family_than_the_signal(listening: Listening):
    async with (
        switchboard(listening, sip={"host": BOTH}) as board,
        phone_caller(board.telephone.endpoint.port) as proxied,
        phone_caller(9, host=V6) as ears,
    ):
        answer = await proxied.phone.call(uri="sip:tester@house.example", body=ears.sdp)
        ears.begin(answer.body)
        await ears.hear(10)

    assert "c=IN IP6 ::1" in answer.body
    assert V4 in answer.header("contact")


@pytest.mark.parametrize(("ours", "theirs"), [(V4, V6), (V6, V4)])
async def test_sound_of_a_family_that_is_not_here_is_refused_with_a_warning(
    ours: str, theirs: str, listening: Listening
):
    async with (
        switchboard(listening, sip={"host": ours}) as board,
        phone_caller(board.telephone.endpoint.port, host=ours) as stranger,
        phone_caller(board.telephone.endpoint.port, host=ours) as caller,
    ):
        refusal = await stranger.refused(body=sdp(4000, host=theirs))
        await caller.call()
        change = await caller.ask("INVITE", extra=SDP_LINE, body=sdp(4000, host=theirs))
        await caller.hear(10)

    for each in (refusal, change):
        assert each.status == 488
        assert each.header("warning").startswith("301 Parley ")
        assert theirs in each.header("warning")


async def test_who_has_no_address_of_our_family_is_told_of_at_once(listening: Listening):
    async with switchboard(listening, sip={"host": V4}) as board:
        await board.telephone.dial(Dial(target="sip:bob@[::1]:5060", tenant="default"))
        failed = await board.until("call_failed")
        ended = await board.until("call_ended")

    assert ended.reason == "unreachable"
    assert "::1 has no address that can be reached from 127.0.0.1" in failed.message


@pytest.mark.parametrize(
    ("host", "public", "came_to", "sound_at", "ports_at", "told"),
    [
        (BOTH, "", "2001:db8::5", "2001:db8::9", "::", "2001:db8::5"),
        (BOTH, "203.0.113.7", "10.0.0.5", "10.0.0.9", "0.0.0.0", "203.0.113.7"),
        (BOTH, "203.0.113.7", "2001:db8::5", "2001:db8::9", "::", "2001:db8::5"),
        (BOTH, "house.example", "2001:db8::5", "", "::", "house.example"),
        (BOTH, "", V4, V6, "::", V6),
        ("10.0.0.7", "", "2001:db8::5", "2001:db8::9", "10.0.0.7", "10.0.0.7"),
        ("0.0.0.0", "", V6, V6, "0.0.0.0", V4),
        ("0.0.0.0", "", "10.0.0.5", "", "0.0.0.0", "10.0.0.5"),
    ],
)
def test_the_far_side_is_told_an_address_of_the_ports_own_family(
    host: str, public: str, came_to: str, sound_at: str, ports_at: str, told: str
):
    ports, place = SoundPlaces(host, public, 30_000, 30_009).place(came_to, sound_at)

    assert (ports.host, place) == (ports_at, told)


# ── a telephone that isn't ours ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_sipp_calls_over_ipv6(
    transport: str, opened: Callable[..., Any], desk: Desk, tmp_path: Path
) -> None:
    endpoint = await opened(host=BOTH, t1_s=0.5)
    await Sipp(tmp_path, V6).call(endpoint.port, "uac", "-t", transport)
    call = await desk.call()

    assert (await call.over).by == "far"
    assert "c=IN IP6" in call.remote_sdp


async def test_sipp_takes_our_sound_over_ipv6_and_gives_it_back(
    listening: Listening, tmp_path: Path, unused_udp_port: int
) -> None:
    media = ("-rtp_echo", "-mp", "36000")
    async with switchboard(
        listening, agents=[LONG], sip={"host": V6, "t1_s": 0.5}, tts=FakeSynthesizer(word_ms=100)
    ) as board:
        answering = await Sipp(tmp_path, V6).start("", "uas", "-p", str(unused_udp_port), *media)
        with capture_logs() as told:
            target = f"sip:demo@[::1]:{unused_udp_port}"
            await board.telephone.dial(Dial(target=target, tenant="default"))
            await board.until("agent_speech_stopped")
            (await board.control()).end("agent")
            await board.until("call_ended")
        async with asyncio.timeout(20):
            code = await answering.wait()

    (account,) = [line for line in told if line["event"] == "sip_call_closed"]
    assert code == 0
    assert account["packets"] > 20 and account["unsent"] == 0
