"""A telephone that isn't ours talks with an agent; what it recorded is checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from parley.transports.sip.options import SipOptions
from parley.transports.sip.telephone import Telephone, TelephoneOptions
from parley.transports.wheel import Wheel
from tests.builtin_house import BuiltinHouse
from tests.caller_voice import CALLER_HZ
from tests.transports.sip.baresip import baresip
from tests.transports.sip.kamailio import kamailio
from tests.transports.sip.rtpengine import PORTS as RELAY_PORTS
from tests.transports.sip.rtpengine import rtpengine

PORTS = (34_000, 34_999)
# The greeting is over by then.
ASKS_AFTER_S = 6
PATIENCE_S = 30
AUDIBLE = 300

Way = Literal["direct", "through a proxy and a relay"]


@asynccontextmanager
async def way_to(
    telephone: Telephone, way: Way, folder: Path, ports: list[int]
) -> AsyncIterator[str]:
    """The address that baresip calls."""
    if way == "direct":
        yield f"sip:receptionist@127.0.0.1:{telephone.endpoint.port}"
        return
    proxy_port, relay_port = ports
    async with (
        rtpengine(folder, relay_port),
        kamailio(folder, proxy_port, telephone.endpoint.port, relay_port=relay_port),
    ):
        yield f"sip:receptionist@127.0.0.1:{proxy_port}"


@pytest.mark.parametrize("way", ["direct", "through a proxy and a relay"])
async def test_baresip_asks_by_voice_and_records_the_answer(
    way: Way, builtin: BuiltinHouse, tmp_path: Path, unused_udp_port_factory: Callable[[], int]
) -> None:
    question = await builtin.voice("what are your opening hours")
    said = bytes(ASKS_AFTER_S * CALLER_HZ * 2) + question + bytes(PATIENCE_S * CALLER_HZ * 2)
    options = TelephoneOptions(SipOptions(port=0), rtp_ports=PORTS)
    port, *ports = [unused_udp_port_factory() for _ in range(3)]
    async with (
        Telephone(options, builtin.host, Wheel()) as telephone,
        way_to(telephone, way, tmp_path, ports) as uri,
        baresip(tmp_path / "baresip", port, uri, said) as phone,
    ):
        call_id = await builtin.call_after(0)
        answered = await builtin.until(call_id, "turn_ended", 2)
        await phone.hang_up()
        ended = await builtin.until(call_id, "call_ended")
    heard = np.abs(phone.heard().astype(int)) > AUDIBLE

    assert "nine to five" in answered.heard
    assert ended.reason == "caller"
    asked_at = ASKS_AFTER_S * CALLER_HZ
    answer_at = asked_at + len(question) // 2
    assert np.count_nonzero(heard[:asked_at]) > CALLER_HZ // 2, "the greeting was not heard"
    assert np.count_nonzero(heard[answer_at:]) > CALLER_HZ // 2, "the answer was not heard"
    relayed = RELAY_PORTS[0] <= phone.hears_from <= RELAY_PORTS[1]
    assert relayed == (way != "direct")
