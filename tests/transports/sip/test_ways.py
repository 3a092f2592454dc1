"""The way to the far side when it changes, breaks or leads nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parley.core.errors import BadSettings
from parley.transports.sip.call import SipDialog
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.options import Account, TlsFiles
from parley.transports.sip.outgoing import Unanswered
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import SDP, SDP_LINE, Phone, Seen, stream_phone, udp_phone

CHALLENGE = 'Proxy-Authenticate: Digest realm="pbx", nonce="n", qop="auth"\r\n'


# ── connections that break ───────────────────────────────────────────────────────────────────


class HangsUp(asyncio.Protocol):
    """Takes a connection, and closes it at the first word."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire = transport

    def data_received(self, data: bytes) -> None:
        self.wire.close()


async def test_a_connection_that_breaks_ends_what_was_asked_by_it(endpoint: SipEndpoint) -> None:
    server = await asyncio.get_running_loop().create_server(HangsUp, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    result = await endpoint.call(f"sip:bob@127.0.0.1:{port};transport=tcp", SDP).result()
    server.close()

    # Waiting for as long as for an answer would have made it 408.
    assert isinstance(result, Unanswered)
    assert (result.outcome, result.status) == ("failed", 503)


async def test_a_goodbye_whose_connection_breaks_is_said_at_the_contact(
    endpoint: SipEndpoint, desk: Desk
) -> None:
    async with udp_phone() as elsewhere:
        contact = f"Contact: <sip:phone@127.0.0.1:{elsewhere.port}>\r\n"
        async with stream_phone(endpoint.port) as phone:
            await phone.call(contact=False, extra=contact)
            call = await desk.call()
            hanging_up = asyncio.ensure_future(call.bye())
            first = await phone.hear("BYE")
        second = await elsewhere.hear("BYE")
        elsewhere.reply(second, "200 OK")
        await hanging_up

    assert second.cseq > first.cseq and second.header("call-id") == first.header("call-id")


# ── telephones that move ─────────────────────────────────────────────────────────────────────


def moved(phone: Phone, to: Phone) -> None:
    """The same call, spoken of from elsewhere."""
    to.call_id, to.tag, to.far_tag, to.host = phone.call_id, phone.tag, phone.far_tag, phone.host


async def test_a_telephone_that_comes_from_elsewhere_is_answered_there_from_then_on(
    endpoint: SipEndpoint, desk: Desk
) -> None:
    async with udp_phone(endpoint.port) as before, udp_phone(endpoint.port) as now:
        before.host = "192.168.77.7"
        await before.call()
        call = await desk.call()
        moved(before, now)
        now.acknowledge(await now.ask(now.invite(cseq=2)))
        hanging_up = asyncio.ensure_future(call.bye())
        now.reply(await now.hear("BYE"), "200 OK")
        await hanging_up

        assert "BYE" not in [seen.method for seen in before.heard()]


async def test_a_telephone_that_connects_anew_is_answered_by_the_new_connection(
    endpoint: SipEndpoint, desk: Desk
) -> None:
    async with stream_phone(endpoint.port) as before:
        before.host = "192.168.77.7"
        await before.call()
        call = await desk.call()
    async with stream_phone(endpoint.port) as now:
        moved(before, now)
        now.say(now.compose("UPDATE", cseq=2))
        await now.hear(200)
        hanging_up = asyncio.ensure_future(call.bye())
        now.reply(await now.hear("BYE"), "200 OK")
        await hanging_up

    assert call.over.result().by == "us"


# ── names ────────────────────────────────────────────────────────────────────────────────────

# No part of a name may be as long: it is looked up nowhere, and Python says so by a ValueError.
NOBODYS = f"{'n' * 64}.example"


async def test_a_name_that_can_be_nobodys_is_told_of_as_that(endpoint: SipEndpoint) -> None:
    result = await endpoint.call(f"sip:bob@{NOBODYS}", SDP).result()

    assert isinstance(result, Unanswered)
    assert result.status == 503 and NOBODYS in result.reason


async def test_who_is_known_by_a_name_that_leads_nowhere_is_reached_where_it_called_from(
    phone: Phone, desk: Desk
) -> None:
    await phone.call(contact=False, extra=f"Contact: <sip:phone@{NOBODYS}>\r\n")
    call = await desk.call()
    hanging_up = asyncio.ensure_future(call.bye())
    goodbye = await phone.hear("BYE")
    phone.reply(goodbye, "200 OK")
    await hanging_up

    assert goodbye.uri == f"sip:phone@{NOBODYS}"


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_connection_is_used_for_the_name_that_was_proven_and_for_no_other(
    opened: Callable[..., Any], desk: Desk, tls: TlsFiles
) -> None:
    there = await opened(tls=tls, tls_port=0)
    here = await opened(tls=TlsFiles(authorities=tls.authorities))
    proven = await here.call(f"sips:demo@localhost:{there.tls_port}", SDP).result()
    again = await here.call(f"sips:demo@localhost:{there.tls_port}", SDP).result()
    # Another name for the same address, which the certificate doesn't have.
    claimed = await here.call(f"sips:demo@127.1:{there.tls_port}", SDP).result()

    assert isinstance(proven, SipDialog) and isinstance(again, SipDialog)
    assert isinstance(claimed, Unanswered) and "certificate" in claimed.reason


async def test_authorities_that_are_none_stop_the_start(
    opened: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(BadSettings, match="PARLEY_SIP_TLS_CA"):
        await opened(tls=TlsFiles(authorities=tmp_path / "nothing.pem"))


# ── who we are ───────────────────────────────────────────────────────────────────────────────


async def asked_again(phone: Phone, first: Seen) -> Seen:
    phone.reply(first, "407 Who", CHALLENGE)
    while (second := await phone.hear("INVITE")).cseq == first.cseq:
        pass
    return second


async def test_an_acknowledgement_proves_who_we_are_as_its_invite_did(
    opened: Callable[..., Any],
) -> None:
    endpoint = await opened(account=Account(username="501", password="secret"))
    async with udp_phone(endpoint.port) as phone:
        calling = endpoint.call(f"sip:bob@127.0.0.1:{phone.port}", SDP)
        invite = await asked_again(phone, await phone.hear("INVITE"))
        phone.reply(invite, "200 OK", SDP_LINE, SDP)
        first = await phone.hear("ACK")
        while first.cseq != invite.cseq:
            first = await phone.hear("ACK")
        call = await calling.result()
        assert isinstance(call, SipDialog)
        changing = asyncio.ensure_future(call.reinvite(lambda: SDP))
        change = await asked_again(phone, await phone.hear("INVITE"))
        phone.reply(change, "200 OK", SDP_LINE, SDP)
        second = await phone.hear("ACK")
        while second.cseq != change.cseq:
            second = await phone.hear("ACK")
        await changing
        hanging_up = asyncio.ensure_future(call.bye())
        phone.reply(await phone.hear("BYE"), "200 OK")
        await hanging_up

    assert first.header("proxy-authorization") == invite.header("proxy-authorization") != ""
    assert second.header("proxy-authorization") == change.header("proxy-authorization") != ""


async def test_a_call_that_is_taken_back_at_once_rings_nowhere(
    endpoint: SipEndpoint, phone: Phone
) -> None:
    call = endpoint.call(f"sip:bob@127.0.0.1:{phone.port}", SDP)
    call.cancel()
    result = await call.result()
    phone.say(phone.compose("OPTIONS"))
    first = await phone.hear()

    assert isinstance(result, Unanswered) and result.outcome == "cancelled"
    assert first.status == 200
