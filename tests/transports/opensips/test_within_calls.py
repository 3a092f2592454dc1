"""What is asked within a call, by either side: keys, hold, transfer and the rest."""

from __future__ import annotations

import asyncio

import pytest

from parley.core.errors import CallNotLive, FarSideRefused
from tests.session.fakes import agent_with
from tests.transports.opensips.board import Board, Caller
from tests.transports.opensips.fake_opensips import FakeOpenSips
from tests.transports.sip.rtp.far_end import EVENTS, sdp

SILENT = agent_with(greeting="")
RELAY = "Content-Type: application/dtmf-relay\r\n"


async def test_the_callers_hold_is_told_and_taken_back(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.connect(opensips)
    await board.until("media_started")
    answers: list[str] = []
    for direction in ("sendonly", "sendrecv"):
        said = len(session.sent)
        body = sdp(caller.sound.port, formats="0 96", lines=(*EVENTS, f"a={direction}"))
        opensips.tell(session, "UPDATED", "INVITE", body=body)
        await opensips.until(lambda: len(session.sent) > said)  # noqa: B023
        answers.append(session.sent[-1].body)

    await board.until("call_held")
    await board.until("call_resumed")
    assert "a=recvonly" in answers[0]
    assert "a=sendrecv" in answers[1]


async def test_a_change_that_can_not_be_leaves_the_call_as_it_was(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.connect(opensips)
    opensips.tell(session, "UPDATED", "INVITE", body=sdp(formats="18"))

    await opensips.sent(session, 488)
    await caller.hear(10)
    assert session.state == "answered"


async def test_we_hold_and_resume(board: Board, caller: Caller, opensips: FakeOpenSips):
    session = await caller.connect(opensips)
    control = await board.control()
    for ours, theirs in (("sendonly", "recvonly"), ("sendrecv", "sendrecv")):
        asked = len(session.sent)
        changing = asyncio.create_task(control.hold() if ours == "sendonly" else control.resume())
        await opensips.until(lambda: len(session.sent) > asked)  # noqa: B023
        body = sdp(caller.sound.port, formats="0 96", lines=(*EVENTS, f"a={theirs}"))
        opensips.tell(session, "ANSWERED", "INVITE", status=200, reason="OK", body=body)
        await changing

        assert session.sent[-1].method == "INVITE"
        assert f"a={ours}" in session.sent[-1].body


async def test_after_a_collision_the_caller_may_change_the_call_before_we_try_again(
    board: Board, caller: Caller, opensips: FakeOpenSips, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("random.uniform", lambda _, longest: longest / 4)
    session = await caller.connect(opensips)
    holding = asyncio.create_task((await board.control()).hold())
    await opensips.sent(session, "INVITE")
    before = len(session.sent)
    opensips.tell(session, "REJECTED", "INVITE", status=491, reason="Request Pending")
    body = sdp(caller.sound.port, formats="0 96", lines=(*EVENTS, "a=sendrecv"))
    opensips.tell(session, "UPDATED", "INVITE", body=body)
    await opensips.until(lambda: len(session.sent) == before + 2)
    opensips.tell(session, "ANSWERED", "INVITE", status=200, reason="OK", body=body)
    await holding

    first, theirs, second = session.sent[before - 1 :]
    assert (first.method, theirs.status, second.method) == ("INVITE", 200, "INVITE")
    assert origin_of(first.body) != origin_of(second.body), "the offer was not made anew"


def origin_of(description: str) -> str:
    return next(line for line in description.splitlines() if line.startswith("o="))


async def test_a_key_by_info_is_told_and_another_body_refused(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.connect(opensips)
    await board.until("media_started")
    opensips.tell(session, "UPDATED", "INFO", headers=RELAY, body="Signal=5\r\nDuration=160\r\n")
    opensips.tell(session, "UPDATED", "INFO", headers="", body="#")
    opensips.tell(session, "UPDATED", "INFO", headers="Content-Type: text/plain\r\n", body="hi")
    await opensips.sent(session, 415)

    keys = [event.digit for event in board.events if event.name == "dtmf_received"]
    assert keys == ["5", "#"]


async def test_we_press_a_key_by_info_where_the_far_side_takes_none_beside_its_sound(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.connect(opensips, body=sdp(caller.sound.port))
    control = await board.control()
    pressing = asyncio.create_task(control.send_digits("7"))
    info = await opensips.sent(session, "INFO")
    opensips.tell(session, "ANSWERED", "INFO", status=200, reason="OK")
    await pressing

    assert "Content-Type: application/dtmf-relay\r\n" in info.headers
    assert info.body.startswith("Signal=7")


async def test_other_requests_within_a_call_are_answered_as_by_sip(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.connect(opensips)
    wanted = {"OPTIONS": 200, "REFER": 405, "MESSAGE": 405, "NOTIFY": 481, "DANCE": 501}
    for method in wanted:
        opensips.tell(session, "UPDATED", method)
    await opensips.until(lambda: len(session.sent) == 2 + len(wanted))

    assert {said.method: said.status for said in session.sent[2:]} == wanted


async def test_a_caller_is_handed_on_and_the_agent_steps_back(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.connect(opensips)
    control = await board.control()
    handing_on = asyncio.create_task(control.transfer("sip:desk@127.0.0.1"))
    refer = await opensips.sent(session, "REFER")
    opensips.tell(session, "ANSWERED", "REFER", status=202, reason="Accepted")
    state = "Subscription-State: terminated\r\n"
    opensips.tell(session, "UPDATED", "NOTIFY", headers=state, body="SIP/2.0 200 OK\r\n")
    await handing_on

    assert "Refer-To: <sip:desk@127.0.0.1>" in refer.headers
    assert (await board.until("call_transferred")).target == "sip:desk@127.0.0.1"
    assert (await board.until("call_ended")).reason == "agent"
    assert await board.is_free()


async def test_a_transfer_that_is_refused_leaves_the_caller_with_the_agent(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.connect(opensips)
    control = await board.control()
    handing_on = asyncio.create_task(control.transfer("sip:desk@127.0.0.1"))
    await opensips.sent(session, "REFER")
    opensips.tell(session, "REJECTED", "REFER", status=603, reason="Decline")
    with pytest.raises(FarSideRefused, match="603"):
        await handing_on

    await caller.hear(10)
    assert session.state == "answered"


async def test_a_far_side_that_knows_of_no_call_has_none(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.connect(opensips)
    control = await board.control()
    holding = asyncio.create_task(control.hold())
    await opensips.sent(session, "INVITE")
    opensips.tell(session, "REJECTED", "INVITE", status=481, reason="Gone")
    with pytest.raises(CallNotLive):
        await holding

    assert (await board.until("call_ended")).reason == "error"
    assert await board.is_free()
