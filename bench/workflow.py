"""A stand-in for a workflow that books: slow, late, repeating itself or dying, as it is told.

It keeps what it booked beside itself, so that its deaths cost nothing: a booking is made once for
an idempotency key, and a slot is given away once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import uvloop

from parley.core.tasks import begin, end
from parley.tools.webhook.signing import HEADER, sign, verify

Mood = Literal["prompt", "slow", "late", "twice", "dies_before", "dies_after", "waits"]
"""How a request is dealt with.

``prompt`` answers at once and ``slow`` after a while; ``late`` says that the answer comes later,
and then sends it twice; ``twice`` answers, and sends the answer again; the two that die drop the
connection, before or after they have booked; ``waits`` has booked and answers when it is let go.
"""
MOODS: tuple[Mood, ...] = ("prompt", "slow", "late", "twice", "dies_before", "dies_after")

SLOW_S = 0.3
CALLBACK_LIMIT_S = 5.0
CALLBACK_TRIES = 40
CALLBACK_PAUSE_S = 0.5
GONE = (httpx.TransportError, AttributeError)
"""What an HTTP client raises of a server that is killed: the latter of one that has just taken the
connection."""
TAKEN = {"ok": False, "error": {"code": "slot_taken", "message": "That slot is taken."}}


@dataclass(frozen=True)
class Row:
    """One booking."""

    slot: int
    key: str
    run_id: str
    call_id: str


@dataclass
class Workflow:
    """Books slots. ``delivered`` has what became of answers that were sent by themselves."""

    secret: str
    mood: Callable[[], Mood] = lambda: "prompt"
    own_ms: float = 0.0
    url: str = ""
    rows: list[Row] = field(default_factory=list[Row])
    asked: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    delivered: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    _callbacks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something about the rows, the requests or the deliveries."""
        async with self.changed:
            await self.changed.wait_for(holds)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while await self._exchange(reader, writer):
                continue
        except (asyncio.IncompleteReadError, ConnectionError):
            # Whoever asked was killed; what has been begun is finished all the same.
            return
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        began_s = time.perf_counter()
        headers = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])
        }
        if head.startswith("GET "):
            # Whoever started us asks whether we are there.
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return True
        body = await reader.readexactly(int(headers["content-length"]))
        verify(self.secret, headers[HEADER.lower()], body)
        asked = json.loads(body)
        await self._note(lambda: self.asked.append(asked))
        mood = self.mood()
        if mood == "dies_before":
            return False
        answer = await self._book(asked)
        if mood == "dies_after":
            return False
        status, told = await self._deal(mood, asked, answer)
        if self.own_ms:
            await asyncio.sleep(self.own_ms / 1000)
        told = {**told, "own_ms": (time.perf_counter() - began_s) * 1000} if self.own_ms else told
        sent = json.dumps(_own_time_inside(told)).encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(sent)}\r\n\r\n".encode()
            + sent
        )
        await writer.drain()
        return True

    async def _deal(
        self, mood: Mood, asked: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> tuple[int, Mapping[str, Any]]:
        if mood == "slow":
            await asyncio.sleep(SLOW_S)
        if mood == "waits":
            await self.let_go.wait()
        if mood in ("late", "twice"):
            callback = begin(self._call_back(asked, answer), "callback")
            self._callbacks.add(callback)
            callback.add_done_callback(self._callbacks.discard)
        return (202, {"ok": True, "pending": True}) if mood == "late" else (200, answer)

    async def _book(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        slot, key = int(asked["args"]["slot"]), str(asked["idempotency_key"])
        known = next((row for row in self.rows if row.slot == slot), None)
        if known is not None and known.key != key:
            return TAKEN
        if known is None:
            row = Row(slot, key, str(asked["run_id"]), str(asked["call_id"]))
            await self._note(lambda: self.rows.append(row))
        return {"ok": True, "result": {"booked": slot, "replayed": known is not None}}

    async def _call_back(self, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Send the answer twice, each as often as it takes: Parley may be down."""
        await asyncio.sleep(SLOW_S)
        for _ in range(2):
            delivered = await self.deliver(asked, answer)
            told = (str(asked["run_id"]), delivered)
            await self._note(lambda told=told: self.delivered.append(told))

    async def deliver(self, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
        """What became of an answer that was sent by itself."""
        body = json.dumps({**answer, "run_id": asked["run_id"]}).encode()
        async with httpx.AsyncClient(trust_env=False, timeout=CALLBACK_LIMIT_S) as http:
            for _ in range(CALLBACK_TRIES):
                try:
                    reply = await http.post(
                        f"{asked['callback_url']}/answer",
                        content=body,
                        headers={HEADER: sign(self.secret, body)},
                    )
                except GONE:
                    # A server that is down gives nothing to wait on but the clock.
                    await asyncio.sleep(CALLBACK_PAUSE_S)
                    continue
                if reply.is_success:
                    return str(reply.json()["delivered"])
                return f"refused: {reply.status_code}"
        return "given up"

    async def callbacks_done(self) -> None:
        while self._callbacks:
            await asyncio.wait(set(self._callbacks))

    async def close(self) -> None:
        self.let_go.set()
        await end(*self._callbacks)

    async def _note(self, change: Callable[[], None]) -> None:
        async with self.changed:
            change()
            self.changed.notify_all()


def _own_time_inside(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is measured has to come through to the model's end."""
    if "own_ms" not in told:
        return told
    result = {**told.get("result", {}), "own_ms": told["own_ms"]}
    return {"ok": told["ok"], "result": result}


@asynccontextmanager
async def running_workflow(workflow: Workflow, port: int = 0) -> AsyncGenerator[Workflow]:
    """Have it listen on loopback."""
    server = await asyncio.start_server(workflow.take, "127.0.0.1", port)
    workflow.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/book"
    try:
        yield workflow
    finally:
        await workflow.close()
        server.close()


async def _serve(port: int, secret: str, own_ms: float) -> None:
    async with running_workflow(Workflow(secret, own_ms=own_ms), port):
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--own-ms", type=float, default=0.0)
    given = parser.parse_args()
    uvloop.run(_serve(given.port, given.secret, given.own_ms))


if __name__ == "__main__":
    main()
