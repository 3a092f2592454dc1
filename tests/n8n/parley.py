"""A Parley in a process of its own that knows the n8n of the tests, and its callers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from bench.caller import Caller, Mouth
from bench.speech import RATE_HZ, Utterance, utterance

from parley.core.audio import Resampler
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.e2e.server import Server, running_server
from tests.n8n.instance import N8n

TURN_LIMIT_S = 40.0
MOST_TRIES = 5


@asynccontextmanager
async def parley_with(n8n: N8n, folder: Path, **more: str) -> AsyncIterator[Server]:
    """Ready when it has found n8n's tools."""
    environment = {
        "N8N_BASE_URL": n8n.url,
        "N8N_API_KEY": n8n.api_key,
        "PARLEY_TOOL_SECRET": n8n.secrets.signing,
        "PARLEY_STT": "builtin",
        "PARLEY_LLM": "scripted",
        "PARLEY_TTS": "builtin",
        **more,
    }
    async with running_server(folder, environment) as server:
        await server.logged("n8n_tools", "book_appointment")
        yield server


class Conversation:
    """One spoken call. What was not understood is said again, as people do."""

    def __init__(self, caller: Caller, mouth: Mouth) -> None:
        self._caller = caller
        self._mouth = mouth
        self._voice = CallerVoice()
        self.position = 0

    @property
    def events(self) -> list[dict[str, Any]]:
        return self._caller.events

    @property
    def call_id(self) -> str:
        return str(self.events[0]["call_id"])

    async def greeted(self) -> str:
        return await self._reply()

    async def say(self, *sentences: str, until: str) -> str:
        """Say one of these, and again, until the agent's reply has the words ``until``."""
        heard: list[str] = []
        for number in range(MOST_TRIES):
            self.position = len(self.events)
            await self._mouth.say(await self._spoken(sentences[number % len(sentences)]))
            reply = await self._reply()
            if until.casefold() in reply.casefold():
                return reply
            heard.append(reply)
        raise AssertionError(f"{until!r} was not in any reply to {sentences}: {heard}")

    async def utter(self, sentence: str) -> None:
        """Say it, once."""
        await self._mouth.say(await self._spoken(sentence))

    async def hears(self, name: str) -> None:
        """Wait for what the server tells next under that name."""
        assert await self._caller.event(name, len(self.events), TURN_LIMIT_S), name

    def transcripts(self) -> list[str]:
        return [
            e["text"] for e in self.events if e.get("event") == "user_transcript" and e["final"]
        ]

    def tools(self) -> list[tuple[str, str]]:
        """The tools that were used, each with its error."""
        return [(e["tool"], e["error"]) for e in self.events if e.get("event") == "tool_ended"]

    async def _reply(self) -> str:
        """All that the agent says until it is the caller's turn; a tool's filler is not the end."""
        said: list[str] = []
        while True:
            ended = await self._caller.event("turn_ended", self.position, TURN_LIMIT_S)
            if ended is None:
                return " ".join(said)
            self.position = self.events.index(ended, self.position) + 1
            said.append(str(ended.get("heard", "")))
            if not self._is_tool_running():
                return " ".join(said)

    def _is_tool_running(self) -> bool:
        named = [each.get("event") for each in self.events]
        return named.count("tool_started") > named.count("tool_ended")

    async def _spoken(self, sentence: str) -> Utterance:
        resampler = Resampler(CALLER_HZ, RATE_HZ)
        pcm = resampler.push(await self._voice(sentence)) + resampler.flush()
        return utterance(sentence, pcm)


@asynccontextmanager
async def conversation(server: Server, agent: str = "") -> AsyncIterator[Conversation]:
    mouth = Mouth()
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60) as http,
        Caller(http, iter(mouth), agent=agent) as caller,
    ):
        yield Conversation(caller, mouth)
