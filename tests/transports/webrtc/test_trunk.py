"""A PBX's WebRTC trunk that posts a templated offer: ``http_json`` of RustPBX's 2026 fork."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from aiortc import RTCSessionDescription
from fastapi import FastAPI

from parley.api.errors import install_error_handlers
from parley.core.audio import Resampler
from parley.engines.tts.builtin import SPEC
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber, last_user_text
from parley.transports.webrtc.peers import Peers
from parley.transports.webrtc.signalling import signalling_router
from tests.caller_voice import recorded
from tests.session.fakes import FakeHouse, agent_with
from tests.transports.rustpbx.served import Happened
from tests.transports.webrtc.callers import QUICK, Caller, heard_s

# As its operator writes it into the trunk's ``protocol``.
TEMPLATE = '{"sdp":"{offer_sdp}","type":"offer","request_data":{"agent":"trunk"}}'
ANSWER, SESSION = "sdp", "pc_id"


class Trunk(Caller):
    """One leg: no data channel, no candidates after the offer, nothing but sound."""

    async def dial(self) -> dict[str, Any]:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        escaped = json.dumps(self.pc.localDescription.sdp)[1:-1]
        body = json.loads(TEMPLATE.replace("{offer_sdp}", escaped))
        answer = await self.http.post("/api/offer", json=body)
        assert answer.is_success
        found: dict[str, Any] = answer.json()
        await self.pc.setRemoteDescription(RTCSessionDescription(found[ANSWER], "answer"))
        return found

    def say(self, pcm: bytes) -> None:
        """Say s16le at 16 kHz."""
        resampler = Resampler(16_000, 48_000)
        before = self.track.pcm.ljust(self.track.at, b"\0")
        self.track.pcm = before + resampler.push(pcm) + resampler.flush()


async def test_a_trunk_is_greeted_understood_answered_and_its_end_is_noticed(
    listening: Listening,
):
    happened, voice = Happened(), SPEC.open(SPEC.options())
    await voice.warm_up()
    house = FakeHouse(
        listening,
        agents=[agent_with(), agent_with(name="trunk")],
        stt=FakeTranscriber("what time is it"),
        llm=FakeChatter(lambda messages: f"You said {last_user_text(messages)}."),
        tts=voice,
        listeners=[happened.note],
    )
    peers, web = Peers(QUICK), FastAPI()
    install_error_handlers(web)
    async with house.host() as host:
        web.include_router(signalling_router(host, peers))
        transport = httpx.ASGITransport(web)
        async with httpx.AsyncClient(transport=transport, base_url="http://parley") as http:
            trunk = Trunk(http)
            found = await trunk.dial()
            await happened.until("turn_ended")
            trunk.say(recorded("what time is it"))
            answered = await happened.until("turn_ended", 2)
            await asyncio.wait_for(trunk.until(lambda: heard_s(trunk.heard, 48_000) > 1.0), 5)
            await trunk.close()
            ended = await happened.until("call_ended")
        await peers.close()
    await voice.close()

    started = next(event for event in happened.events if event.name == "call_started")
    assert isinstance(found[SESSION], str)
    assert started.call.agent == "trunk"
    assert answered.heard == "You said what time is it."
    assert ended.reason == "caller"
