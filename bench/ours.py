"""Parley's own call path with fixed engines: the server that the density bench measures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import uvicorn
import uvloop
from fastapi import FastAPI

from bench.fixed import (
    CALLER_SAYS,
    REPLY,
    REPLY_TOKENS,
    VOICE_RATE_HZ,
    FixedVoice,
    server_arguments,
)
from parley.agents.schema import Agent, Greeting
from parley.core.audio import Audio
from parley.core.bus import Bus
from parley.core.log import setup_logging
from parley.engines.spec import (
    ChatOptions,
    Delta,
    Message,
    SpeechOptions,
    Status,
    ToolSchema,
    TranscribeOptions,
    TranscriptPart,
    Voice,
)
from parley.engines.turn.smart_turn import SmartTurn
from parley.engines.vad.silero import SileroVad
from parley.session.host import SessionHost
from parley.session.house import House
from parley.session.pipeline import CallEngines
from parley.session.turns import Listening
from parley.tools.spec import Tool
from parley.transports.webrtc.options import WebRtcOptions
from parley.transports.webrtc.peers import Peers
from parley.transports.webrtc.signalling import signalling_router

MOST_CALLS = 1000


class _Engine:
    """What all three have in common: nothing to load, nothing to fail."""

    async def warm_up(self) -> None:
        return None

    async def check(self) -> Status:
        return Status(True)

    async def close(self) -> None:
        return None


class FixedTranscriber(_Engine):
    """Hears the same sentence in every utterance."""

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncIterator[TranscriptPart]:
        async for _ in audio:
            pass
        yield TranscriptPart(CALLER_SAYS, final=True)


class FixedChatter(_Engine):
    """Always gives the same reply, a word at a time."""

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncIterator[Delta]:
        for token in REPLY_TOKENS:
            yield Delta(text=token)

    def grammar(self) -> str:
        return ""


class FixedSynthesizer(_Engine):
    """Speaks from the file."""

    def __init__(self, voice: FixedVoice) -> None:
        self._voice = voice

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncIterator[Audio]:
        for chunk in self._voice.chunks(text):
            yield Audio(chunk, VOICE_RATE_HZ)

    def voices(self) -> Sequence[Voice]:
        return ()


class FixedDesk:
    """One agent, its engines, no tools."""

    def __init__(self, voice: FixedVoice) -> None:
        self._agent = Agent(name="bench", greeting=Greeting(text=REPLY))
        self._engines = CallEngines(
            stt=FixedTranscriber(),
            llm=FixedChatter(),
            tts=FixedSynthesizer(voice),
            hearing=TranscribeOptions(),
            thinking=ChatOptions(),
            speaking=SpeechOptions(),
        )

    def get(self, name: str, tenant: str) -> Agent:
        return self._agent

    def require_ready(self, agent: Agent) -> None:
        return None

    async def engines_for(self, agent: Agent, voice: str) -> CallEngines:
        return self._engines

    def tools_for(self, agent: Agent, tenant: str) -> Sequence[Tool]:
        return ()


@asynccontextmanager
async def open_app(voice: FixedVoice) -> AsyncGenerator[FastAPI]:
    """As ``parley.app`` puts the house together, less what a bench doesn't ask for."""
    listening = Listening(SileroVad(), SmartTurn())
    listening.warm_up()
    desk = FixedDesk(voice)
    async with Bus() as bus:
        house = House(bus=bus, agents=desk, engines=desk, tools=desk, listening=listening)
        async with SessionHost(house, max_calls=MOST_CALLS) as host:
            app = FastAPI()
            app.include_router(signalling_router(host, Peers(WebRtcOptions())))
            app.add_api_route("/health/ready", _ready)
            yield app
    listening.close()


async def _ready() -> dict[str, str]:
    return {"status": "ready"}


async def _serve(voice: FixedVoice, port: int) -> None:
    async with open_app(voice) as app:
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning")
        await uvicorn.Server(config).serve()


def main() -> None:
    arguments = server_arguments()
    setup_logging("INFO", "console")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(FixedVoice(arguments.voice.read_bytes()), arguments.port))


if __name__ == "__main__":
    main()
