"""Which agent a telephone reaches, and what it hears where none answers."""

from __future__ import annotations

import ipaddress

import pytest
from structlog.testing import capture_logs

from parley.core.call import CallInfo
from parley.core.errors import BadSettings, NotReady, QuotaExceeded
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


# ── rules ────────────────────────────────────────────────────────────────────────────────────

DESK, SALES = agent_with(name="desk"), agent_with(name="sales")
OURS = agent_with(name="ours", tenant="acme")
NUMBERS = ("+49301=desk", "+4930*=sales", "900=acme:ours", "901=acme:desk")


@pytest.mark.parametrize(
    ("rules", "dialled", "changes", "answers"),
    [
        (NUMBERS, "+49301", {}, ("default", "desk")),
        (NUMBERS, "+49-30-1", {}, ("default", "desk")),
        (NUMBERS, "+49302", {}, ("default", "sales")),
        (NUMBERS, "+49891", {}, ("default", "tester")),
        (NUMBERS, "900", {}, ("acme", "ours")),
        (NUMBERS, "901", {}, ("acme", "desk")),
        (("*=sales", "200=desk"), "200", {}, ("default", "sales")),
        (("tester=sales",), "tester", {}, ("default", "sales")),
        (("200=sales",), "200", {"extra": "X-Parley-Agent: desk\r\n"}, ("default", "sales")),
        (("200=sales",), "300", {"extra": "X-Parley-Agent: desk\r\n"}, ("default", "desk")),
        (("*@127.0.0.1=sales",), "200", {}, ("default", "sales")),
        (("*@pbx.example=sales",), "200", {}, ("default", "tester")),
        # We registered as parley: only To says what was dialled.
        (("demo=sales",), "parley", {}, ("default", "sales")),
        (("demo=sales",), "200", {}, ("default", "tester")),
        (("200 from:phone=sales",), "200", {}, ("default", "sales")),
        (("from:+49171*=sales",), "200", {}, ("default", "tester")),
        (
            ("from:+49171*=sales",),
            "200",
            {"extra": 'P-Asserted-Identity: "Ann, B" <sip:+491715@trunk>\r\n'},
            ("default", "sales"),
        ),
        (
            ("diverted:+49303=sales",),
            "200",
            {"extra": 'Diversion: <tel:+49304>, "A, B" <sip:+49303@pbx>;reason=no-answer\r\n'},
            ("default", "sales"),
        ),
        (("diverted:+49303=sales",), "200", {}, ("default", "tester")),
        (("via:127.0.0.0/8=sales",), "200", {}, ("default", "sales")),
        (("via:10.0.0.5=sales",), "200", {}, ("default", "tester")),
    ],
)
async def test_the_first_rule_that_fits_says_who_answers(
    rules: tuple[str, ...],
    dialled: str,
    changes: dict[str, str],
    answers: tuple[str, str],
    listening: Listening,
):
    agents = [AGENT, DESK, SALES, OURS]
    async with (
        switchboard(listening, agents=agents, sip={"peers": HERE}, rules=rules) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        await caller.call(dialled, **changes)
        call = (await board.until("call_started")).call
        caller.leave()
        await board.until("call_ended")

    assert (call.tenant, call.agent) == answers


async def test_what_strangers_say_of_a_call_fits_no_rule(listening: Listening):
    rules = ("from:boss=other", "diverted:100=other")
    extra = "P-Asserted-Identity: <sip:boss@pbx>\r\nDiversion: <sip:100@pbx>\r\n"
    async with (
        switchboard(listening, agents=[AGENT, agent_with(name="other")], rules=rules) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        await caller.call("200", extra=extra)
        call = (await board.until("call_started")).call
        caller.leave()
        await board.until("call_ended")

    assert call.agent == "tester"


@pytest.mark.parametrize("rule", ["200=nobody", "200=acme:nobody", "200=ours"])
async def test_a_rule_that_names_nobody_is_refused_at_the_start(rule: str, listening: Listening):
    with pytest.raises(BadSettings, match="PARLEY_SIP_AGENTS: in 200="):
        async with switchboard(listening, agents=[AGENT, OURS], rules=[rule]):
            raise AssertionError("it listens")


async def test_a_rule_that_names_no_tenant_is_refused_at_the_start(listening: Listening):
    rules = ["900=acme:desk", "901=acmee:desk"]

    with pytest.raises(BadSettings, match=r"901=acmee:desk there is no tenant 'acmee'") as raised:
        async with switchboard(listening, agents=[AGENT, DESK], tenants={"acme"}, rules=rules):
            raise AssertionError("it listens")

    assert "parley tenants set acmee" in (raised.value.hint or "")


async def test_a_tenant_that_went_away_is_stood_in_for_by_nobody(listening: Listening):
    agents, tenants = [AGENT, DESK], {"acme"}
    async with (
        switchboard(listening, agents=agents, tenants=tenants, rules=["900=acme:desk"]) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        tenants.clear()
        with capture_logs() as told:
            refusal = await caller.refused("900")

    warned = [line for line in told if line["event"] == "sip_rule_without_tenant"]
    assert (refusal.status, "acme" in refusal.text) == (404, False)
    assert [(line["rule"], line["tenant"]) for line in warned] == [("900=acme:desk", "acme")]
    assert board.events == []


class _Refuses:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def reserve(self, call: CallInfo) -> Reservation:
        raise self._error
