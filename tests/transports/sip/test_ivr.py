"""The agent of an on-premises telephone, called by SIP; its engines are servers that take their
time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from parley.agents.schema import TurnBudget
from parley.session.turns import Listening
from parley.transports.sip.options import SipOptions
from parley.transports.sip.telephone import Telephone, TelephoneOptions
from parley.transports.wheel import Wheel
from tests.builtin_house import BuiltinHouse, builtin_house
from tests.engines.servers.http import HttpReply, HttpRequest
from tests.engines.servers.llama_cpp import LlamaCppServer
from tests.engines.servers.openai_chat import spoken
from tests.engines.servers.piper_socket import PiperSocketServer
from tests.engines.servers.vosk import VoskServer
from tests.transports.sip.caller import phone_caller

AGENTS = Path(__file__).parents[3] / "deploy/opensips/agents"
PORTS = (33_000, 33_999)
HEARD = "when do you open"
SAYS = "We open at nine."
SLOW_S = {"": 0.0, "stt_ms": 0.7, "llm_ms": 0.6, "tts_ms": 0.9}


class LateVosk(VoskServer):
    delay_s = 0.0

    async def _answer(self, *asked: Any) -> bool:
        if isinstance(asked[-1], str):
            await asyncio.sleep(self.delay_s)
        return await super()._answer(*asked)


class LateLlama(LlamaCppServer):
    delay_s = 0.0

    async def answer(self, request: HttpRequest, reply: HttpReply) -> None:
        await asyncio.sleep(self.delay_s)
        await super().answer(request, reply)


class LatePiper(PiperSocketServer):
    delay_s = 0.0

    async def _speak(self, connection: ServerConnection, text: str) -> None:
        await asyncio.sleep(self.delay_s)
        await super()._speak(connection, text)


@asynccontextmanager
async def house_of_servers(
    slow: str, folder: Path, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BuiltinHouse]:
    async with AsyncExitStack() as stack:
        vosk = await stack.enter_async_context(LateVosk(HEARD, word_ms=100))
        llama = await stack.enter_async_context(LateLlama(spoken("We open ", "at nine.")))
        piper = await stack.enter_async_context(LatePiper())
        for name, value in {
            "PARLEY_AGENTS_DIR": AGENTS,
            "PARLEY_AGENT": "ivr",
            "PARLEY_DATA_DIR": folder,
            "VOSK_WS_URL": vosk.url,
            "LLAMA_URL": llama.url,
            "PIPER_WS_URL": piper.url,
        }.items():
            monkeypatch.setenv(name, str(value))
        house = await stack.enter_async_context(builtin_house(folder, listening))
        for stage, server in (("stt_ms", vosk), ("llm_ms", llama), ("tts_ms", piper)):
            server.delay_s = SLOW_S[slow] if stage == slow else 0.0
        yield house


@pytest.mark.parametrize("slow", SLOW_S, ids=lambda stage: stage or "none")
async def test_a_telephone_call_is_answered_and_the_slow_stage_of_a_turn_is_named(
    slow: str, listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = TelephoneOptions(SipOptions(port=0), rtp_ports=PORTS)
    async with (
        house_of_servers(slow, tmp_path, listening, monkeypatch) as house,
        Telephone(options, house.host, Wheel()) as telephone,
        phone_caller(telephone.endpoint.port) as caller,
    ):
        await caller.call("ivr")
        call_id = await house.call_after(0)
        await house.until(call_id, "turn_ended")
        greeting_ms = caller.audible_ms
        await caller.speak(await house.voice("what are your opening hours"))
        turn = await house.until(call_id, "turn_ended", 2)
        caller.leave()
        await house.until(call_id, "call_ended")
        answer_ms = caller.audible_ms - greeting_ms
    events = [event for event in house.events if event.call_id == call_id]

    assert [event.text for event in events if event.name == "user_transcript"][-1] in HEARD
    assert turn.heard == SAYS
    assert greeting_ms > 100
    assert answer_ms > 100
    told = [
        (event.stage, event.took_ms, event.budget_ms)
        for event in events
        if event.name == "budget_overrun"
    ]
    assert told == TurnBudget().overruns(turn.stages)
    assert not slow or slow in [stage for stage, *_ in told]
