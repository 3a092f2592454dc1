"""OpenAI's Realtime client as tests use it: every event it gets is checked, twice, and kept."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeServerEvent
from pipecat.services.openai.realtime.events import parse_server_event
from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosed

from parley.core.audio import pcm_bytes

RATE_HZ = 24_000
PATIENCE_S = 15.0
OPTED_IN = frozenset({"input_audio_buffer.timeout_triggered"})
"""What Pipecat's client doesn't know; it is sent to those alone who asked for it."""
SDK_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)

Event = dict[str, Any]


def check_event(text: str | bytes) -> Event:
    """Parse an event as the official SDK and Pipecat do. Raises if either can't."""
    event: Event = json.loads(text)
    SDK_EVENTS.validate_python(event)
    if event["type"] not in OPTED_IN and not _is_transcription_session(event):
        assert parse_server_event(text) is not None, event["type"]
    return event


def _is_transcription_session(event: Event) -> bool:
    # Pipecat has another client for these sessions, which reads them leniently.
    return event.get("session", {}).get("type") == "transcription"


class Client:
    """``told`` is every event so far; ``until`` goes through them in order."""

    check = staticmethod(check_event)

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.told: list[Event] = []
        self.close_code = 0
        self.problem: Exception | None = None
        self._position = 0
        self._is_over = False
        self._happened = asyncio.Condition()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        reading = asyncio.create_task(self._read())
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            if self.problem is not None:
                raise self.problem

    async def _read(self) -> None:
        try:
            while True:
                event = self.check(await self.connection.recv_bytes())
                async with self._happened:
                    self.told.append(event)
                    self._happened.notify_all()
        except ConnectionClosed as closed:
            self.close_code = closed.rcvd.code if closed.rcvd else 1006
        except Exception as problem:
            self.problem = problem
        async with self._happened:
            self._is_over = True
            self._happened.notify_all()

    # ── what it is told ──────────────────────────────────────────────────────────────────

    async def until(self, *kinds: str, **fields: Any) -> Event:
        """The next event of one of these types whose fields are so; those before are passed."""
        return await self._in_time(self._next(kinds, fields), f"{kinds} {fields}")

    async def over(self) -> int:
        """Wait until the server has closed the connection; its code."""
        await self._in_time(self._until_over(), "the end")
        return self.close_code

    async def error(self) -> Event:
        """The next error's inside."""
        error: Event = (await self.until("error"))["error"]
        return error

    async def done(self) -> Event:
        """The next response that is over."""
        response: Event = (await self.until("response.done"))["response"]
        return response

    def types(self) -> list[str]:
        return [event["type"] for event in self.told]

    def all(self, kind: str, **fields: Any) -> list[Event]:
        return [event for event in self.told if _fits(event, (kind,), fields)]

    def sound(self, response_id: str = "") -> bytes:
        """What was to be played, of one response or of all."""
        return b"".join(
            base64.b64decode(event["delta"])
            for event in self.all("response.output_audio.delta")
            if response_id in ("", event["response_id"])
        )

    # ── what it says ─────────────────────────────────────────────────────────────────────

    async def send(self, type: str, **fields: Any) -> None:
        await self.connection.send({"type": type, **fields})  # type: ignore[arg-type]

    async def raw(self, message: str | bytes) -> None:
        await self.connection._connection.send(message)

    async def update(self, **session: Any) -> Event:
        """Change the session; how it is then."""
        kind = session.pop("type", "realtime")
        await self.send("session.update", session={"type": kind, **session})
        shown: Event = (await self.until("session.updated"))["session"]
        return shown

    async def update_input(self, **changes: Any) -> Event:
        return await self.update(audio={"input": changes})

    async def append(self, sound: bytes) -> None:
        audio = base64.b64encode(sound).decode("ascii")
        await self.connection.input_audio_buffer.append(audio=audio)

    async def speak(self, words: bytes, *, silence_ms: int = 1500) -> None:
        """Say s16le at 24 kHz and fall silent, all in one."""
        await self.append(words + bytes(pcm_bytes(silence_ms, RATE_HZ)))

    async def write(self, text: str, **fields: Any) -> Event:
        """Put in a message; the item."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        return await self.put(item, **fields)

    async def put(self, item: Mapping[str, Any], **fields: Any) -> Event:
        await self.send("conversation.item.create", item=item, **fields)
        added: Event = (await self.until("conversation.item.done"))["item"]
        return added

    async def ask(self, **response: Any) -> Event:
        """Have the model answer; the response when it is over."""
        await self.send("response.create", response=response)
        return await self.done()

    # ── waiting ──────────────────────────────────────────────────────────────────────────

    async def _next(self, kinds: tuple[str, ...], fields: Mapping[str, Any]) -> Event:
        while True:
            async with self._happened:
                while len(self.told) <= self._position:
                    assert not self._is_over, f"closed ({self.close_code}), {self.problem}"
                    await self._happened.wait()
            event = self.told[self._position]
            self._position += 1
            if _fits(event, kinds, fields):
                return event

    async def _until_over(self) -> None:
        async with self._happened:
            await self._happened.wait_for(lambda: self._is_over)

    async def _in_time(self, what: Awaitable[Any], name: str) -> Any:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await what
        except TimeoutError:
            told = "\n  ".join(str(event)[:200] for event in self.told[-30:])
            raise AssertionError(f"{name} did not come about after\n  {told}") from None


def _fits(event: Event, kinds: tuple[str, ...], fields: Mapping[str, Any]) -> bool:
    return event["type"] in kinds and all(event.get(k) == v for k, v in fields.items())
