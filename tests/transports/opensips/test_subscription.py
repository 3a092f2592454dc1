"""Staying subscribed, telling of trouble, and clearing away what nobody has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from parley.core.errors import BadSettings
from parley.session.turns import Listening
from parley.transports.opensips.gateway import OpenSips
from parley.transports.opensips.options import OpenSipsOptions
from parley.transports.wheel import Wheel
from tests.session.fakes import FakeHouse
from tests.transports.opensips.board import Board, Caller, board_at
from tests.transports.opensips.fake_opensips import FakeOpenSips, fake_opensips
from tests.transports.sip.rtp.far_end import sdp


def subscriptions(opensips: FakeOpenSips) -> list[int]:
    return [given["expire"] for name, given in opensips.commands if name == "event_subscribe"]


async def test_a_subscription_is_renewed_before_it_expires_and_ended_at_the_end(
    listening: Listening, opensips: FakeOpenSips
):
    async with board_at(opensips, listening) as board:
        await board.subscribed()
        await opensips.until(lambda: len(subscriptions(opensips)) >= 3)
        held = dict(opensips.subscribers)

    assert list(held.values()) == [60]
    assert subscriptions(opensips)[-1] == 0
    assert opensips.subscribers == {}


async def test_calls_come_again_after_opensips_restarted(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    opensips.restart()
    await opensips.until(lambda: bool(opensips.subscribers))

    await caller.connect(opensips)
    await caller.hear(10)


async def test_a_call_goes_on_while_opensips_restarts(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    await caller.connect(opensips)
    await caller.hear(10)
    opensips.restart()
    await opensips.until(lambda: bool(opensips.subscribers))
    (await board.control()).end("agent")

    assert (await board.until("call_ended")).reason == "agent"
    assert await board.is_free()


async def test_an_interface_that_falls_silent_is_told_of_and_found_again(
    board: Board, opensips: FakeOpenSips
):
    well = board.gateway.status()
    with capture_logs() as said:
        opensips.is_silent = True
        await board.missed()
        ill = board.gateway.status()
        opensips.is_silent = False
        await board.subscribed()

    assert (well.ok, ill.ok, board.gateway.status().ok) == (True, False, True)
    assert "doesn't answer" in ill.detail and "MI_IP" in ill.hint
    assert [line["event"] for line in said] == ["opensips_unreachable", "opensips_subscribed"]


async def test_an_opensips_that_is_not_there_yet_is_waited_for(
    listening: Listening, opensips: FakeOpenSips
):
    port = opensips.port
    opensips.close()
    async with board_at(opensips, listening) as board:
        await board.missed()
        missing = board.gateway.status()
        async with fake_opensips(port) as late:
            await late.until(lambda: bool(late.subscribers))
            await board.subscribed()
            session = late.invite(sdp())
            await late.sent(session, 200)
            await board.until("agent_speech_started")

    assert not missing.ok
    assert "127.0.0.1" in missing.detail


async def test_an_opensips_without_the_modules_is_told_what_it_lacks(
    listening: Listening, opensips: FakeOpenSips
):
    opensips.refuses = {"event_subscribe"}
    async with board_at(opensips, listening) as board:
        await board.missed()
        status = board.gateway.status()

    assert "Method not found" in status.detail
    assert "event_datagram" in status.hint


async def test_sessions_that_nobody_has_are_ended_and_nobody_elses(
    listening: Listening, opensips: FakeOpenSips
):
    answered, ringing = opensips.add_session(), opensips.add_session()
    answered.state = "answered"
    async with board_at(opensips, listening) as board:
        await board.subscribed()
        ours = opensips.invite(sdp())
        await opensips.sent(ours, 200)
        await opensips.forgotten(answered)
        await opensips.forgotten(ringing)
        await board.until("agent_speech_started")

        assert [message.method for message in answered.sent] == ["BYE"]
        assert [message.status for message in ringing.sent] == [503]
        assert ours.state == "answered"


@pytest.mark.parametrize("why", ["refused", "too long"])
async def test_a_list_that_can_not_be_had_costs_no_call(
    board: Board, caller: Caller, opensips: FakeOpenSips, why: str
):
    session = await caller.connect(opensips)
    await caller.hear(10)
    opensips.refuses = {"ua_session_list"} if why == "refused" else set()
    opensips.lists_at_most = 0
    renewed = len(subscriptions(opensips))
    await opensips.until(lambda: len(subscriptions(opensips)) > renewed + 2)

    assert session.state == "answered"
    assert board.gateway.status().ok


async def test_an_answer_that_opensips_does_not_take_ends_the_call_here(
    board: Board, opensips: FakeOpenSips
):
    session = opensips.invite(sdp())
    opensips.sessions.pop(session.key)
    await opensips.until(lambda: "ua_session_terminate" in opensips.names())
    await board.host.drain(5)

    assert (board.host.live_calls, board.gateway.live_calls, board.events) == (0, 0, [])


async def test_an_answer_that_nobody_confirms_ends_the_call_here_and_later_there(
    board: Board, opensips: FakeOpenSips
):
    def fall_silent(name: str, given: dict[str, object]) -> None:
        if given.get("code") == 180:
            opensips.is_silent = True

    opensips.on_command = fall_silent
    session = opensips.invite(sdp())
    await board.missed()
    opensips.on_command = lambda name, given: None
    opensips.is_silent = False

    await opensips.forgotten(session)
    await board.host.drain(5)
    assert (board.host.live_calls, board.gateway.live_calls, board.events) == (0, 0, [])


@pytest.mark.parametrize("address", ["192.0.2.1", "no..host"])
@pytest.mark.parametrize(
    ("field", "name"), [("event_host", "EVENT_IP"), ("rtp_host", "RTP_BIND_IP")]
)
async def test_an_address_that_is_not_ours_is_refused_at_the_start(
    listening: Listening, address: str, field: str, name: str
):
    house = FakeHouse(listening)
    async with house.host() as host:
        with pytest.raises(BadSettings, match=name):
            async with OpenSips(replace(OpenSipsOptions(), **{field: address}), host, Wheel()):
                raise AssertionError("it listens")
