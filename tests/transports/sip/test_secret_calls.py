"""Encrypted sound: offered over TLS, done without only where that is allowed, or not at all."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from parley.core.errors import BadSettings, InvalidValue
from parley.session.dialling import Dial
from parley.session.turns import Listening
from parley.settings import load_settings
from parley.testing.engines import FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.transports.opensips.options import OpenSipsOptions
from parley.transports.sip.agreement import Secrecy
from parley.transports.sip.bare_rtp import BareOptions
from parley.transports.sip.options import TlsFiles
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.session.fakes import agent_with
from tests.transports.sip.baresip import baresip
from tests.transports.sip.caller import phone_caller
from tests.transports.sip.phone import SDP_LINE, Phone, Seen, called_phone, stream_phone
from tests.transports.sip.rtp.far_end import sdp
from tests.transports.sip.switchboard import Switchboard, switchboard

LONG = agent_with(greeting="one two three four five six seven eight nine ten")
KEY = base64.b64encode(bytes(range(30))).decode()
CRYPTO = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"


@asynccontextmanager
async def two_houses(
    listening: Listening, tls: TlsFiles, ours: Secrecy, theirs: Secrecy
) -> AsyncIterator[tuple[Switchboard, Switchboard, str]]:
    """One house that calls, one that answers by TLS, and the address of that."""
    trusting = {"tls": TlsFiles(authorities=tls.authorities)}
    async with (
        switchboard(listening, sip={"tls": tls, "tls_port": 0}, secrecy=theirs) as there,
        switchboard(listening, sip=trusting, secrecy=ours) as here,
    ):
        port = there.telephone.endpoint.tls_port
        yield here, there, f"sips:tester@localhost:{port}"


async def talk(here: Switchboard, there: Switchboard, target: str) -> list[Any]:
    """Call, let both sides speak, hang up; what the log said of it."""
    with capture_logs() as told:
        await here.telephone.dial(Dial(target=target, tenant="default"))
        await here.until("agent_speech_stopped")
        await there.until("agent_speech_stopped")
        (await here.control()).end("agent")
        await here.until("call_ended")
        await there.until("call_ended")
    return told


def closed(told: list[Any]) -> list[Any]:
    """Both sides' accounts; a description that was refused leaves one without packets."""
    return [line for line in told if line["event"] == "sip_call_closed" and "packets" in line]


async def test_a_call_over_tls_is_encrypted_both_ways(listening: Listening, tls: TlsFiles):
    async with two_houses(listening, tls, "required", "required") as (here, there, target):
        told = await talk(here, there, target)

    assert len(closed(told)) == 2
    assert all(line["packets"] > 10 for line in closed(told))
    assert all(line["not_genuine"] == line["corrupted"] == 0 for line in closed(told))


@pytest.mark.parametrize("theirs", ["allowed", "off"])
async def test_who_takes_no_encrypted_sound_is_called_without_where_that_is_allowed(
    theirs: Secrecy, listening: Listening, tls: TlsFiles
):
    async with two_houses(listening, tls, "allowed", theirs) as (here, there, target):
        told = await talk(here, there, target)

    repeated = [line["status"] for line in told if line["event"] == "sip_offer_repeated"]
    assert repeated == ([488] if theirs == "off" else [])
    assert [line["packets"] > 10 for line in closed(told)] == [True, True]


async def test_where_it_is_required_nobody_is_called_without(listening: Listening, tls: TlsFiles):
    async with two_houses(listening, tls, "required", "off") as (here, there, target):
        await here.telephone.dial(Dial(target=target, tenant="default"))
        failed = await here.until("call_failed")
        ended = await here.until("call_ended")

        with pytest.raises(InvalidValue, match="PARLEY_SIP_SRTP"):
            await here.telephone.dial(Dial(target="sip:a@127.0.0.1", tenant="default"))
        assert await here.is_free()

    assert ended.reason == "unreachable"
    assert "488" in failed.message
    assert there.events == []


async def answer_without_sound(phone: Phone) -> Seen:
    """Take a call as one does who takes no encrypted sound: all well, and the port is 0."""
    invite = await phone.hear("INVITE")
    phone.reply(invite, "200 OK", SDP_LINE, sdp(0, profile="RTP/SAVP"))
    await phone.hear("ACK")
    phone.reply(await phone.hear("BYE"), "200 OK")
    return invite


async def test_who_answers_without_the_encrypted_sound_is_called_once_more_without(
    listening: Listening, tls: TlsFiles
):
    trusting = {"tls": TlsFiles(authorities=tls.authorities)}
    async with (
        called_phone(tls) as phone,
        switchboard(listening, sip=trusting, secrecy="allowed") as board,
        phone_caller(9) as ears,
    ):
        target = f"sips:bob@localhost:{phone.port}"
        await board.telephone.dial(Dial(target=target, tenant="default"))
        first = await answer_without_sound(phone)
        second = await phone.hear("INVITE")
        phone.reply(second, "200 OK", SDP_LINE, ears.sdp)
        await phone.hear("ACK")
        ears.begin(second.body)
        await ears.hear(10)
        (await board.control()).end("agent")
        phone.reply(await phone.hear("BYE"), "200 OK")

        assert (await board.until("call_ended")).reason == "agent"
        assert await board.is_free()
    assert ["RTP/SAVP" in first.body, "RTP/AVP" in second.body] == [True, True]
    assert "crypto" not in second.body
    assert first.header("call-id") != second.header("call-id")


@pytest.mark.parametrize(("secrecy", "calls"), [("required", 1), ("allowed", 2)])
async def test_who_answers_without_any_sound_is_not_called_for_ever(
    secrecy: Secrecy, calls: int, listening: Listening, tls: TlsFiles
):
    trusting = {"tls": TlsFiles(authorities=tls.authorities)}
    async with (
        called_phone(tls) as phone,
        switchboard(listening, sip=trusting, secrecy=secrecy) as board,
    ):
        target = f"sips:bob@localhost:{phone.port}"
        await board.telephone.dial(Dial(target=target, tenant="default"))
        for _ in range(calls):
            await answer_without_sound(phone)
        failed = await board.until("call_failed")

        assert (await board.until("call_ended")).reason == "unreachable"
        assert await board.is_free()
        assert phone.heard() == []
    kind = "encrypted audio" if secrecy == "required" else "audio"
    assert failed.message.endswith(f"The far side takes no {kind}.")
    assert failed.code == "call_not_taken"


@pytest.mark.parametrize(
    ("secrecy", "offer", "status"),
    [
        ("required", sdp(4000), 488),
        ("required", sdp(4000, profile="RTP/SAVP", lines=[CRYPTO]), 200),
        ("allowed", sdp(4000), 200),
        ("off", sdp(4000, profile="RTP/SAVP", lines=[CRYPTO]), 488),
    ],
    ids=["open", "encrypted", "open and allowed", "encrypted and off"],
)
async def test_what_is_taken_over_tls_is_what_was_set(
    secrecy: Secrecy, offer: str, status: int, listening: Listening, tls: TlsFiles
):
    trusting = ssl.create_default_context(cafile=tls.certificate)
    async with (
        switchboard(listening, sip={"tls": tls, "tls_port": 0}, secrecy=secrecy) as board,
        stream_phone(board.telephone.endpoint.tls_port, trusting) as phone,
    ):
        phone.say(phone.invite(uri="sip:tester@127.0.0.1", body=offer))
        answer = await phone.hear(200, 488)
        if answer.status == 200:
            phone.far_tag = answer.to_tag
            phone.acknowledge(answer)
            phone.say(phone.compose("BYE", cseq=2))
            await board.until("call_ended")

    assert answer.status == status


async def test_where_it_is_required_no_call_comes_in_without_tls(listening: Listening):
    async with (
        switchboard(listening, secrecy="required") as board,
        phone_caller(board.telephone.endpoint.port) as caller,
        phone_caller(board.telephone.endpoint.port) as other,
    ):
        plain = await caller.refused()
        keyed = await other.refused(body=sdp(4000, profile="RTP/SAVP", lines=[CRYPTO]))

        assert (plain.status, keyed.status) == (488, 488)
        assert (board.host.live_calls, board.telephone.live_calls) == (0, 0)


@pytest.mark.parametrize(
    ("options", "name"), [(OpenSipsOptions, "MI_IP"), (BareOptions, "RTP_PORT")]
)
def test_what_cannot_be_encrypted_is_refused_at_the_start_where_it_is_required(
    options: type[OpenSipsOptions | BareOptions], name: str
):
    settings = load_settings({"sip_srtp": "required"}, env_file=Path("no-such-file.env"))

    with pytest.raises(BadSettings) as raised:
        options.from_settings(settings)

    assert name in (raised.value.hint or "")


# ── a telephone that isn't ours ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("direction", ["in", "out"])
async def test_baresip_which_insists_on_it_is_heard_and_hears(
    direction: str,
    listening: Listening,
    tls: TlsFiles,
    tmp_path: Path,
    unused_udp_port_factory: Callable[[], int],
):
    second = bytes(CALLER_HZ * 2)
    said = 2 * second + await CallerVoice()("what time is it") + 30 * second
    sip = {"tls": tls, "tls_port": 0}
    port = unused_udp_port_factory()
    engines = {"stt": FakeTranscriber("what time is it"), "tts": FakeSynthesizer(word_ms=100)}
    async with switchboard(
        listening, sip=sip, secrecy="required", agents=[LONG], **engines
    ) as board:
        ours = board.telephone.endpoint.tls_port
        uri = f"sip:tester@127.0.0.1:{ours};transport=tls" if direction == "in" else ""
        async with baresip(tmp_path / "baresip", port, uri, said, tls) as phone:
            if direction == "out":
                await phone.is_up()
                target = f"sips:baresip@localhost:{port + 1}"
                await board.telephone.dial(Dial(target=target, tenant="default"))
            await board.until("user_transcript")
            await board.until("agent_speech_stopped")
            await phone.hang_up()
            ended = await board.until("call_ended")
    heard = np.abs(phone.heard().astype(int))

    assert ended.reason == "caller"
    assert np.count_nonzero(heard > 300) > CALLER_HZ // 4
