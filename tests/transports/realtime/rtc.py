"""A Realtime client over WebRTC, made of aiortc and OpenAI's own client, and a house to call."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import openai
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from fastapi import FastAPI
from starlette.requests import HTTPConnection
from websockets.exceptions import ConnectionClosedOK

from parley.access.caller import Caller
from parley.access.client_secrets import SECRET_PREFIX, ClientSecrets
from parley.access.credentials import credentials_of
from parley.agents.schema import Agent
from parley.api.errors import install_error_handlers
from parley.core.audio import Resampler
from parley.core.errors import InvalidValue, Unauthorized
from parley.session.host import SessionHost
from parley.session.turns import Listening
from parley.transports.realtime.admission import Reception
from parley.transports.realtime.calls import calls_router
from parley.transports.realtime.client_secrets import client_secrets_router
from parley.transports.realtime.exchange import Exchange
from parley.transports.realtime.socket import socket_router
from parley.transports.webrtc.aiortc_inside import close_for_good
from parley.transports.webrtc.options import WebRtcOptions
from parley.transports.webrtc.signalling import Doors
from tests.api.openai.written_house import served
from tests.session.fakes import FakeHouse
from tests.transports.realtime.client import SDK_EVENTS, Client, Event
from tests.transports.webrtc.callers import ToneTrack, loudest_part

EVENTS_LABEL = "oai-events"
MICROPHONE_HZ = 48_000
VOICE_RATE_HZ = 16_000
LONGEST_MESSAGE = 65_536
"""What it says in its offer."""


def check_event(text: str | bytes) -> Event:
    """Pipecat's client speaks no WebRTC: these events are the SDK's alone."""
    event: Event = json.loads(text)
    SDK_EVENTS.validate_python(event)
    return event


class _Channel:
    """The data channel as ``Client`` wants its connection."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._channel = pc.createDataChannel(EVENTS_LABEL)
        self._channel.on("message", self._texts.put_nowait)
        self._channel.on("close", lambda: self._texts.put_nowait(None))
        self._connection = SimpleNamespace(send=self.send_text)

    async def recv_bytes(self) -> str:
        if (text := await self._texts.get()) is None:
            raise ConnectionClosedOK(None, None)
        return text

    async def send(self, event: Mapping[str, Any]) -> None:
        await self.send_text(json.dumps(event))

    async def send_text(self, text: str | bytes) -> None:
        self._channel.send(text)


class RtcClient(Client):
    """``heard`` is 48 kHz mono; what it says goes out through ``microphone``."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        super().__init__(_Channel(self.pc))  # type: ignore[arg-type]
        self.microphone = ToneTrack()
        self.heard = bytearray()
        self.call_id = ""
        self.answer = ""
        self._ear: asyncio.Task[None] | None = None
        self._leaving: asyncio.Future[None] | None = None
        self.pc.addTrack(self.microphone)
        self.pc.on("track", self._on_track)

    @staticmethod
    def check(text: str | bytes) -> Event:
        """What comes over the data channel is never longer than what the client says it takes."""
        assert len(text.encode() if isinstance(text, str) else text) <= LONGEST_MESSAGE
        return check_event(text)

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = str(self.pc.localDescription.sdp)
        return re.sub(r"(a=max-message-size:)\d+", rf"\g<1>{LONGEST_MESSAGE}", sdp)

    async def take(self, answer: str, location: str) -> None:
        self.answer, self.call_id = answer, location.rsplit("/", 1)[-1]
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    def say(self, words: bytes, rate_hz: int) -> None:
        resampler = Resampler(rate_hz, MICROPHONE_HZ)
        before = self.microphone.pcm.ljust(self.microphone.at, b"\0")
        self.microphone.pcm = before + resampler.push(words) + resampler.flush()

    async def speak(self, pcm: bytes) -> None:
        """Say s16le at 16 kHz; returns when the last sound has been sent."""
        self.say(pcm, VOICE_RATE_HZ)
        await self.said()

    async def said(self) -> None:
        """Return when the last sound has been sent."""
        length = len(self.microphone.pcm)
        while self.microphone.at < length:  # noqa: ASYNC110 - a track tells nobody how far it is
            await asyncio.sleep(0.02)

    def leave(self) -> None:
        """Close the connection."""
        self._leaving = asyncio.ensure_future(self.pc.close())

    def heard_s(self) -> float:
        return len(loudest_part(bytes(self.heard), MICROPHONE_HZ)) / 2 / MICROPHONE_HZ

    def _on_track(self, track: Any) -> None:
        self._ear = asyncio.ensure_future(self._listen(track))

    async def _listen(self, track: Any) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            channels = len(frame.layout.channels)
            samples = memoryview(bytes(frame.planes[0])).cast("h")
            self.heard += samples[: frame.samples * channels : channels].tobytes()

    async def close(self) -> None:
        if self._leaving is not None:
            await self._leaving
        await close_for_good(self.pc)
        if self._ear is not None:
            self._ear.cancel()
            await asyncio.gather(self._ear, return_exceptions=True)


def sdk_for(address: str, key: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0)


@asynccontextmanager
async def rtc_call(
    address: str, *, key: str, session: Mapping[str, Any] | None = None, model: str = ""
) -> AsyncIterator[RtcClient]:
    """A call by the SDK: as a form with ``session``, else as bare SDP."""
    client = RtcClient()
    query = {"model": model} if model else {}
    given: Any = {} if session is None else {"session": session}
    try:
        async with sdk_for(address, key) as sdk:
            answer = await sdk.realtime.calls.create(
                sdp=await client.offer(), extra_query=query, **given
            )
        async with client.listening():
            await client.take(answer.text, answer.response.headers["location"])
            await client.until("session.created")
            yield client
    finally:
        await client.close()


@dataclass
class RtcHouse:
    """Where clients call. A key names its tenant."""

    calls: FakeHouse
    host: SessionHost
    exchange: Exchange
    address: str = ""
    secrets: ClientSecrets = field(default_factory=ClientSecrets)

    async def guard(self, connection: HTTPConnection) -> Caller:
        token = credentials_of(connection).token
        caller = Caller(tenant=token or "default", key_id=token)
        if token.startswith(SECRET_PREFIX):
            if (secret := self.secrets.find(token)) is None:
                raise Unauthorized("The key is unknown.")
            caller = secret.caller
        connection.scope.setdefault("state", {})["caller"] = caller
        return caller

    async def find_voice(self, agent: Agent, wanted: str, tenant: str = "") -> str:
        if wanted == "nobody":
            raise InvalidValue("There is no voice 'nobody'.", param="voice")
        return wanted

    def sdk(self, key: str = "acme") -> openai.AsyncOpenAI:
        return sdk_for(self.address, key)

    @asynccontextmanager
    async def client(
        self, *, key: str = "acme", session: Mapping[str, Any] | None = None, model: str = ""
    ) -> AsyncIterator[RtcClient]:
        async with rtc_call(self.address, key=key, session=session, model=model) as client:
            yield client

    @asynccontextmanager
    async def sideband(self, call_id: str, *, key: str = "acme") -> AsyncIterator[Client]:
        async with self.sdk(key) as sdk, sdk.realtime.connect(call_id=call_id) as connection:
            client = Sideband(connection)
            async with client.listening():
                yield client

    async def empty(self) -> None:
        """Return when no call is left; there is no event for it."""
        async with asyncio.timeout(10):
            while self.host.live_calls or len(self.exchange):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


class Sideband(Client):
    """It gets what the client over WebRTC gets."""

    check = staticmethod(check_event)


QUICK = WebRtcOptions(connect_timeout_s=5, lost_after_s=2, reconnect_grace_s=2)


@asynccontextmanager
async def rtc_house(
    listening: Listening, agents: list[Agent], **engines: Any
) -> AsyncIterator[RtcHouse]:
    """``engines`` are ``stt``, ``llm`` and ``tts`` of the fake house."""
    calls = FakeHouse(listening, agents, **engines)
    async with calls.host() as host:
        house = RtcHouse(calls, host, Exchange())
        reception = Reception(host, {})
        doors = Doors(house.guard, house.guard)
        web = FastAPI()
        install_error_handlers(web)
        web.include_router(socket_router(reception, house.guard, house.find_voice, house.exchange))
        web.include_router(
            client_secrets_router(reception, house.secrets, house.guard, house.find_voice)
        )
        web.include_router(calls_router(reception, house.exchange, doors, house.find_voice, QUICK))
        async with served(web) as address:
            house.address = address
            yield house
