"""Calls that come to nothing: refused with a reason, cancelled in time, and forgotten."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from parley.session.turns import Listening
from tests.session.fakes import agent_with
from tests.transports.opensips.board import Board, Caller, Spent, Waits, board_at
from tests.transports.opensips.fake_opensips import FakeOpenSips
from tests.transports.sip.rtp.far_end import sdp

SILENT = agent_with(greeting="")
RELAY = "Content-Type: application/dtmf-relay\r\n"


# ── refusing ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"to": "nobody"}, 404),
        ({"body": sdp(formats="18")}, 488),
        ({"body": "v=0\r\nnonsense"}, 400),
        ({"lines": "Content-Type: application/isup\r\n"}, 415),
    ],
)
async def test_a_refused_call_is_told_why_and_forgotten(
    board: Board, opensips: FakeOpenSips, changes: dict[str, str], status: int
):
    session = opensips.invite(
        changes.get("body", sdp()), **{k: v for k, v in changes.items() if k != "body"}
    )

    await opensips.sent(session, status)
    await opensips.forgotten(session)
    await board.all_told()
    assert [message.method for message in session.sent if not message.status] == []
    left = board.host.live_calls, board.gateway.live_calls, board.gateway.sessions
    assert left == (0, 0, 0)


async def test_a_full_house_says_when_to_try_again(listening: Listening, opensips: FakeOpenSips):
    async with board_at(opensips, listening, max_calls=1) as board:
        await board.subscribed()
        await opensips.sent(opensips.invite(sdp()), 200)
        late = opensips.invite(sdp())
        refusal = await opensips.sent(late, 503)
        await opensips.forgotten(late)

    assert "Retry-After: " in refusal.headers


async def test_a_spent_quota_is_busy(listening: Listening, opensips: FakeOpenSips):
    async with board_at(opensips, listening, admission=Spent()) as board:
        await board.subscribed()
        session = opensips.invite(sdp())
        refusal = await opensips.sent(session, 486)
        await opensips.forgotten(session)

    assert "spent" in refusal.headers
    assert board.host.live_calls == 0


async def test_too_many_calls_in_a_second_are_refused(listening: Listening, opensips: FakeOpenSips):
    async with board_at(opensips, listening, options={"calls_per_s": 1.0}) as board:
        await board.subscribed()
        opensips.invite(sdp())
        refusal = await opensips.sent(opensips.invite(sdp()), 503)
        await board.until("agent_speech_started")

    assert "Retry-After: 1" in refusal.headers


async def test_a_description_that_opensips_keeps_to_itself_is_told_of(
    board: Board, opensips: FakeOpenSips
):
    with capture_logs() as said:
        session = opensips.invite(sdp(), flags="")
        await opensips.sent(session, 500)
        await opensips.forgotten(session)

    assert "opensips_keeps_the_sdp" in [line["event"] for line in said]


# ── cancelling ───────────────────────────────────────────────────────────────────────────────


async def test_a_caller_who_gives_up_gets_487_and_takes_no_place(
    listening: Listening, opensips: FakeOpenSips
):
    slow = Waits()
    async with board_at(opensips, listening, admission=slow) as board:
        await board.subscribed()
        session = opensips.invite(sdp())
        await slow.asked.wait()
        opensips.cancel(session)
        refusal = await opensips.sent(session, 487)
        await opensips.forgotten(session)
        slow.go.set()
        await board.host.drain(5)

        assert refusal.reason == "Request Terminated"
        assert (board.host.live_calls, board.gateway.live_calls, board.events) == (0, 0, [])


async def test_a_cancellation_that_crosses_our_answer_ends_the_call(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.connect(opensips)
    await caller.hear(10)
    opensips.cancel(session)

    await opensips.forgotten(session)
    assert (await board.until("call_ended")).reason == "caller"
    assert await board.is_free()


async def test_a_cancellation_may_overtake_its_call(board: Board, opensips: FakeOpenSips):
    session = opensips.add_session()
    opensips.cancel(session)
    opensips.tell(session, "NEW", "INVITE", body=sdp())

    await opensips.sent(session, 487)
    await opensips.forgotten(session)
    assert (board.gateway.sessions, board.events) == (0, [])


async def test_a_call_that_is_hung_up_before_the_answer_needs_none(
    listening: Listening, opensips: FakeOpenSips
):
    slow = Waits()
    async with board_at(opensips, listening, admission=slow) as board:
        await board.subscribed()
        session = opensips.invite(sdp())
        await slow.asked.wait()
        opensips.hang_up(session)
        slow.go.set()
        await board.host.drain(5)

        assert session.sent == []
        assert board.gateway.sessions == 0
