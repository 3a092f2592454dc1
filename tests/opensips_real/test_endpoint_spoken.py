"""baresip speaks with an agent through endpoint.cfg; what it recorded is checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from parley.transports.opensips.gateway import OpenSips
from parley.transports.opensips.options import OpenSipsOptions
from parley.transports.wheel import Wheel
from tests.builtin_house import BuiltinHouse
from tests.caller_voice import CALLER_HZ
from tests.opensips_real.builds import Build
from tests.opensips_real.endpoint import PORTS, comes_true, running_endpoint
from tests.transports.sip.baresip import baresip

pytestmark = pytest.mark.timeout(120)

# The greeting is over by then; whoever wasn't understood asks again.
ASKS_AT_S = (6, 18, 30)
PATIENCE_S = 50
AUDIBLE = 300


def said_at(sentence: bytes, seconds: tuple[int, ...]) -> bytes:
    said = bytearray(PATIENCE_S * CALLER_HZ * 2)
    for second in seconds:
        begin = second * CALLER_HZ * 2
        said[begin : begin + len(sentence)] = sentence
    return bytes(said)


async def answer_to(house: BuiltinHouse, call_id: str) -> str:
    """What the agent said when it understood the question at last."""
    heard = ""
    for turn in range(2, 2 + len(ASKS_AT_S)):
        heard = (await house.until(call_id, "turn_ended", turn)).heard
        if "nine to five" in heard:
            break
    return heard


async def test_baresip_hears_the_greeting_asks_by_voice_and_records_the_answer(
    build: Build,
    builtin: BuiltinHouse,
    tmp_path: Path,
    free_port: Callable[[], int],
) -> None:
    question = await builtin.voice("what are your opening hours")
    port, *ports = [free_port() for _ in range(3)]
    async with (
        running_endpoint(build, tmp_path / "endpoint", (ports[0], ports[1])) as endpoint,
        OpenSips(
            OpenSipsOptions(mi_port=endpoint.mi_port, rtp_ports=PORTS), builtin.host, Wheel()
        ) as gateway,
    ):
        await gateway.subscription.is_held.wait()
        uri = f"sip:receptionist@127.0.0.1:{endpoint.port}"
        said = said_at(question, ASKS_AT_S)
        async with baresip(tmp_path / "baresip", port, uri, said) as phone:
            call_id = await builtin.call_after(0)
            answer = await answer_to(builtin, call_id)
            await phone.hang_up()
            ended = await builtin.until(call_id, "call_ended")
        await comes_true(endpoint.is_empty)
    heard = np.abs(phone.heard().astype(int)) > AUDIBLE

    assert "nine to five" in answer
    assert ended.reason == "caller"
    asked_at = ASKS_AT_S[0] * CALLER_HZ
    answer_at = asked_at + len(question) // 2
    assert np.count_nonzero(heard[:asked_at]) > CALLER_HZ // 2, "the greeting was not heard"
    assert np.count_nonzero(heard[answer_at:]) > CALLER_HZ // 2, "the answer was not heard"
