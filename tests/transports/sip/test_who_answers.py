"""Which agent a telephone reaches, and what it hears where none answers."""

from __future__ import annotations

import ipaddress

import pytest

from parley.core.call import CallInfo
from parley.core.errors import NotReady, QuotaExceeded
from parley.session.admission import Reservation
from parley.session.turns import Listening
from tests.session.fakes import AGENT, agent_with
from tests.transports.sip.caller import PhoneCaller, phone_caller
from tests.transports.sip.rtp.far_end import sdp
from tests.transports.sip.switchboard import Switchboard, switchboard

HERE = (ipaddress.ip_network("127.0.0.0/8"),)


async def test_a_full_house_says_when_to_try_again(listening: Listening):
    async with (
        switchboard(listening, max_calls=0) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        refusal = await caller.refused()

    assert (refusal.status, refusal.header("retry-after")) == (503, "5")


async def test_a_draining_house_takes_no_more_calls(board: Switchboard, caller: PhoneCaller):
    board.telephone.drain()

    refusal = await caller.refused()

    assert refusal.status == 503
    assert int(refusal.header("retry-after")) > 0


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [(QuotaExceeded("Spent."), 486, ""), (NotReady("Loading."), 480, "5")],
    ids=["quota", "not ready"],
)
async def test_who_may_not_call_now_hears_why(
    error: Exception, status: int, retry_after: str, listening: Listening
):
    async with (
        switchboard(listening, admission=_Refuses(error)) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        refusal = await caller.refused()
        left = board.host.live_calls

    assert (refusal.status, refusal.header("retry-after")) == (status, retry_after)
    assert str(error) in refusal.header("reason") or error.args[0] in refusal.header("reason")
    assert left == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [(sdp(4000, formats="18"), 488), ("v=0\r\nnonsense\r\n", 400)],
    ids=["no codec in common", "no description"],
)
async def test_a_description_that_nobody_can_answer_takes_no_line(
    body: str, status: int, board: Switchboard, caller: PhoneCaller
):
    refusal = await caller.refused(body=body)

    assert refusal.status == status
    assert (board.host.live_calls, board.telephone.live_calls) == (0, 0)


@pytest.mark.parametrize(
    ("dialled", "header", "trusted", "answers"),
    [
        ("other", "", False, "other"),
        ("other", "tester", True, "other"),
        ("+4930123456", "", False, "tester"),
        ("parley", "", False, "tester"),
        ("+4930123456", "other", True, "other"),
        ("+4930123456", "other", False, "tester"),
        ("nobody", "other", True, "other"),
        ("nobody", "", False, ""),
        ("+4930123456", "nobody", True, ""),
    ],
)
async def test_the_agent_answers_that_was_called(
    dialled: str, header: str, trusted: bool, answers: str, listening: Listening
):
    agents = [AGENT, agent_with(name="other")]
    sip = {"peers": HERE} if trusted else {}
    extra = f"X-Parley-Agent: {header}\r\n" if header else ""
    async with (
        switchboard(listening, agents=agents, sip=sip) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        if not answers:
            assert (await caller.refused(dialled, extra=extra)).status == 404
            return
        await caller.call(dialled, extra=extra)
        assert (await board.until("call_started")).call.agent == answers


class _Refuses:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def reserve(self, call: CallInfo) -> Reservation:
        raise self._error
