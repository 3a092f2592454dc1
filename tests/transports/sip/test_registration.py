"""Being an extension of a PBX: registering, renewing, signing off, and coming back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from parley.transports.sip.options import Account
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import Phone, Seen, called_phone, udp_phone

CHALLENGE = 'WWW-Authenticate: Digest realm="pbx", nonce="n", algorithm=MD5, qop="auth"\r\n'


@pytest.fixture
async def pbx() -> AsyncIterator[Phone]:
    async with udp_phone() as pbx:
        yield pbx


@pytest.fixture
async def extension(pbx: Phone, opened: Callable[..., Any]) -> Any:
    account = Account(f"sip:127.0.0.1:{pbx.port}", "501", "secret", 60, retry_s=0.05, least_s=0.1)
    return await opened(account=account)


async def test_an_extension_registers_with_its_password(pbx: Phone, extension: Any) -> None:
    first = await pbx.hear("REGISTER")
    pbx.reply(first, "401 Who", CHALLENGE)
    second = await pbx.hear("REGISTER")
    pbx.reply(second, "200 OK", "Expires: 60\r\n")
    await extension.registration.is_registered.wait()

    assert first.uri == f"sip:127.0.0.1:{pbx.port}" and first.header("expires") == "60"
    assert first.header("to") == "<sip:501@127.0.0.1>"
    assert first.header("contact") == f"<sip:501@127.0.0.1:{extension.port}>"
    assert 'username="501"' in second.header("authorization")
    assert second.cseq > first.cseq and second.header("call-id") == first.header("call-id")


async def test_a_name_with_letters_that_no_uri_has_is_written_as_uris_do(
    pbx: Phone, opened: Callable[..., Any]
) -> None:
    account = Account(f"sip:127.0.0.1:{pbx.port}", "anna b@x", "secret", least_s=0.1)
    endpoint = await opened(account=account)
    request = await pbx.hear("REGISTER")
    contact = f"{request.header('contact')};expires=60"
    pbx.reply(request, "200 OK", f"Contact: <sip:other@x>;expires=0, {contact}\r\n")
    await endpoint.registration.is_registered.wait()

    assert request.header("to") == "<sip:anna%20b%40x@127.0.0.1>"


async def test_it_signs_off(pbx: Phone, extension: Any) -> None:
    pbx.reply(await pbx.hear("REGISTER"), "200 OK", "Expires: 60\r\n")
    await extension.registration.is_registered.wait()
    closing = asyncio.ensure_future(extension.__aexit__(None, None, None))
    last = await pbx.hear("REGISTER")
    pbx.reply(last, "200 OK")
    await closing

    assert last.header("expires") == "0"


async def test_it_is_renewed_before_the_pbx_forgets(pbx: Phone, extension: Any) -> None:
    first = await pbx.hear("REGISTER")
    contact = f"{first.header('contact')};expires=0"
    pbx.reply(first, "200 OK", f"Contact: <sip:other@x>;expires=99, {contact}\r\nExpires: 99\r\n")
    second = await pbx.hear("REGISTER")

    assert second.cseq == first.cseq + 1


async def test_a_wish_that_is_too_short_grows(pbx: Phone, extension: Any) -> None:
    first = await pbx.hear("REGISTER")
    pbx.reply(first, "423 Interval Too Brief", "Min-Expires: 600\r\n")
    while (second := await pbx.hear("REGISTER")).cseq == first.cseq:
        pass

    assert second.header("expires") == "600"


async def test_a_pbx_that_refuses_is_asked_again_later(pbx: Phone, extension: Any) -> None:
    pbx.reply(await pbx.hear("REGISTER"), "503 Not Now")
    second: Seen = await pbx.hear("REGISTER")
    pbx.reply(second, "200 OK")

    await extension.registration.is_registered.wait()


async def test_a_pbx_whose_connection_is_lost_is_registered_with_anew(
    opened: Callable[..., Any],
) -> None:
    async with called_phone() as pbx:
        registrar = f"sip:127.0.0.1:{pbx.port};transport=tcp"
        endpoint = await opened(account=Account(registrar, "501", "secret", retry_s=0.05))
        first = await pbx.hear("REGISTER")
        pbx.reply(first, "200 OK", "Expires: 300\r\n")
        await endpoint.registration.is_registered.wait()
        pbx.close()
        async with asyncio.timeout(10):
            while not (said := await pbx.inbox.get()):
                pass

    assert Seen(said).cseq == first.cseq + 1 and Seen(said).header("expires") == "300"


async def test_the_log_says_why_a_pbx_refuses_and_what_to_look_at(
    pbx: Phone, extension: Any
) -> None:
    with capture_logs() as logs:
        pbx.reply(await pbx.hear("REGISTER"), "403 Not You")
        await pbx.hear("REGISTER")

    told = next(each for each in logs if each["event"] == "sip_registration_failed")
    assert (told["status"], told["why"]) == (403, "Not You")
    assert "PARLEY_SIP_PASSWORD" in told["hint"]


async def test_the_pbx_may_call_its_extension(pbx: Phone, extension: Any, desk: Desk) -> None:
    pbx.reply(await pbx.hear("REGISTER"), "200 OK")
    await extension.registration.is_registered.wait()
    await pbx.call(uri=f"sip:501@127.0.0.1:{extension.port}")

    assert desk.invites[0].is_trusted
