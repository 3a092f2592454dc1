"""The management interface: each command has its own answer, and no other is taken for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from parley.transports.opensips.interface import (
    CommandRefused,
    InterfaceSilent,
    ManagementInterface,
)
from parley.transports.opensips.session import UaSession
from tests.transports.opensips.fake_opensips import LOOPBACK, FakeOpenSips

LIST = "ua_session_list"
SUBSCRIBE = {"event": "E_UA_SESSION", "socket": "udp:127.0.0.1:9", "expire": 60}


@pytest.fixture
async def interface(opensips: FakeOpenSips) -> AsyncIterator[ManagementInterface]:
    interface = ManagementInterface(LOOPBACK, opensips.port, answer_s=0.1, tries=3)
    yield interface
    interface.close()


async def test_a_command_gets_its_own_answer_among_many(
    interface: ManagementInterface, opensips: FakeOpenSips
):
    for _ in range(50):
        opensips.add_session()

    answers = await asyncio.gather(
        *(interface.ask(LIST, {}) for _ in range(20)),
        *(interface.ask("event_subscribe", SUBSCRIBE) for _ in range(20)),
    )

    assert [len(answer) for answer in answers[:20]] == [50] * 20
    assert answers[20:] == ["OK"] * 20


@pytest.mark.parametrize(
    ("command", "given", "code"),
    [
        ("no_such_command", {}, -32601),
        ("ua_session_reply", {"key": "k", "method": "INVITE", "code": 200}, -32602),
        ("ua_session_terminate", {"key": "garbage"}, 500),
        ("event_subscribe", {**SUBSCRIBE, "event": "E_OTHER"}, 400),
    ],
)
async def test_what_opensips_refuses_says_so_with_its_code(
    interface: ManagementInterface, command: str, given: dict[str, Any], code: int
):
    with pytest.raises(CommandRefused) as refused:
        await interface.ask(command, given)

    assert refused.value.code == code
    assert command in str(refused.value)


async def test_a_lost_datagram_is_sent_again(
    interface: ManagementInterface, opensips: FakeOpenSips
):
    opensips.loses = 2

    assert await interface.ask(LIST, {}) == []


async def test_what_must_not_be_done_twice_is_asked_for_once(
    interface: ManagementInterface, opensips: FakeOpenSips
):
    session = opensips.add_session()
    session.state = "answered"
    opensips.loses = 1

    with pytest.raises(InterfaceSilent):
        await UaSession(interface, session.key).update("INFO", body="Signal=5", kind="text/plain")
    assert opensips.commands == []


async def test_an_interface_that_says_nothing_is_given_up(
    interface: ManagementInterface, opensips: FakeOpenSips
):
    opensips.is_silent = True

    with pytest.raises(InterfaceSilent, match=f"{LOOPBACK}:{opensips.port} doesn't answer"):
        await interface.ask(LIST, {})


async def test_where_nobody_listens_nobody_is_waited_for(unused_udp_port: int):
    interface = ManagementInterface(LOOPBACK, unused_udp_port, answer_s=60)

    async with asyncio.timeout(10):
        with pytest.raises(InterfaceSilent):
            await interface.ask(LIST, {})
    interface.close()


async def test_a_name_that_can_be_nobodys_is_silence():
    interface = ManagementInterface("no..host", 8080)

    with pytest.raises(InterfaceSilent, match="can't be reached"):
        await interface.ask(LIST, {})


async def test_a_command_that_fits_into_no_datagram_is_not_sent(
    interface: ManagementInterface, opensips: FakeOpenSips
):
    with pytest.raises(CommandRefused, match="fit into no datagram"):
        await UaSession(interface, "k").reply("INVITE", 200, sdp="x" * 70_000)
    assert opensips.commands == []


async def test_garbage_and_foreign_answers_are_passed_over(
    interface: ManagementInterface, opensips: FakeOpenSips
):
    def mutter(name: str, given: dict[str, Any]) -> None:
        garbage = [b"", b"\xff\xfe", b"[" * 9000, b"null", b"[1]", b'{"id": 1}', b'{"id": []}']
        stale = [{"id": 99, "result": []}, {"id": "1", "result": []}, {"id": None, "result": []}]
        for data in (*garbage, *(json.dumps(each).encode() for each in stale)):
            opensips.send(data, address)
        opensips.send(json.dumps({"id": 1, "result": "mine"}).encode(), address)

    opensips.is_silent = True
    asking = asyncio.create_task(interface.ask(LIST, {}))
    await interface.open()
    assert interface._wire is not None  # pyright: ignore[reportPrivateUsage]
    address = interface._wire.get_extra_info("sockname")  # pyright: ignore[reportPrivateUsage]
    mutter("", {})

    assert await asking == "mine"


async def test_headers_reach_the_caller_although_there_is_no_body(
    interface: ManagementInterface, opensips: FakeOpenSips
):
    session = opensips.add_session()
    reason = 'SIP;cause=503;text="full\r\nX-Evil: yes"'
    await UaSession(interface, session.key).reply("INVITE", 503, lines=[("Reason", reason)])

    assert session.sent[0].headers == 'Reason: SIP;cause=503;text="fullX-Evil: yes"\r\n'
