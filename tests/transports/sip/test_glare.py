"""Both sides want to change the call at the same moment. (RFC 3261, 14.1.)"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from parley.transports.sip.dialog import Dialog
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import SDP, SDP_LINE, udp_phone

T1_S = 0.1


async def test_after_a_collision_the_far_side_may_go_first_and_our_offer_is_made_anew(
    opened: Callable[..., Any], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # We wait for as long as may be.
    monkeypatch.setattr("random.uniform", lambda _, longest: longest)
    endpoint = await opened(t1_s=T1_S)
    offers = (f"{SDP}a=x-offer:{number}\r\n" for number in itertools.count(1))
    async with udp_phone(endpoint.port) as phone:
        await phone.call()
        call = await desk.call()
        changing = asyncio.ensure_future(call.reinvite(lambda: next(offers)))
        first = await phone.hear("INVITE")
        collision = await phone.ask(phone.invite(cseq=2))
        phone.acknowledge(collision)
        phone.reply(first, "491 Request Pending")
        await phone.hear("ACK")
        theirs = await phone.ask(phone.invite(cseq=3))
        phone.acknowledge(theirs)
        while (second := await phone.hear("INVITE")).cseq == first.cseq:
            pass
        phone.reply(second, "200 OK", SDP_LINE, SDP)
        await changing

    assert (collision.status, theirs.status) == (491, 200)
    assert "x-offer:1" in first.body and "x-offer:2" in second.body


@pytest.mark.parametrize(("is_ours", "shortest_s", "longest_s"), [(True, 2.1, 4), (False, 0, 2)])
def test_who_made_the_call_waits_for_longer(
    is_ours: bool, shortest_s: float, longest_s: float
) -> None:
    dialog = Dialog("1", "<sip:a@x>;tag=1", "<sip:b@x>;tag=2", "sip:b@x", "", is_ours=is_ours)

    pauses_s = [dialog.collision_pause_s(0.5) for _ in range(100)]

    assert shortest_s <= min(pauses_s) and max(pauses_s) <= longest_s
