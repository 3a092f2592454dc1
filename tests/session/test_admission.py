"""An admission that knows no tenants refuses nobody."""

from __future__ import annotations

from parley.core.call import CallInfo
from parley.session.admission import Admission, OpenHouse


async def test_an_open_house_lets_every_call_in_and_never_ends_one() -> None:
    admission: Admission = OpenHouse()
    ended: list[bool] = []

    reservation = await admission.reserve(CallInfo(agent="x", transport="webrtc"))
    reservation.when_spent(lambda: ended.append(True))
    reservation.note(tokens=10**9, characters=10**9)
    reservation.settle()

    assert ended == []
