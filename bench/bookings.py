"""Bookings while Parley is killed and started again: exactly one of each must be made."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench.server import Server, free_port
from bench.workflow import GONE, Row, Workflow
from parley.core.tasks import begin, finished

SECRET = "whsec_bench"
ANSWER_LIMIT_S = 20.0
BOOKING_LIMIT_S = 240.0
AGAIN_PAUSE_S = 0.3
TOOL_LIMIT_S = 3.0

AGENT = """\
title: Clerk
engines:
  llm: {engine: scripted, script: SCRIPT}
tools:
  - webhook:
      name: book_slot
      description: Books a slot.
      url: URL
      changes: true
      timeout_s: LIMIT
      parameters:
        type: object
        properties: {slot: {type: integer}}
        required: [slot]
"""
SCRIPT = """\
name: clerk
language: en
greeting: [Hello.]
fallback: [Sorry?]
slots:
  slot:
    type: number
    ask: [Which slot?]
intents:
  - name: book
    say: book slot {slot}
    needs: [slot]
    call: book_slot
    with: {slot: "{slot}"}
    on_result: Booked.
    on_error:
      - if: error
        reply: "Not booked. {error}"
"""


class BookingsWrong(Exception):
    """Not every slot was booked exactly once, or not everything is on record."""


@dataclass
class Parley:
    """A Parley that is killed at times and comes back on the same port, with the same data."""

    folder: Path
    workflow_url: str
    port: int = field(default_factory=free_port)
    kills: int = 0
    _server: Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        agents = self.folder / "agents"
        agents.mkdir(parents=True)
        script = self.folder / "clerk-script.yaml"
        script.write_text(SCRIPT)
        (agents / "clerk.yaml").write_text(
            AGENT.replace("SCRIPT", str(script))
            .replace("URL", self.workflow_url)
            .replace("LIMIT", f"{TOOL_LIMIT_S:g}")
        )

    async def start(self) -> None:
        command = [sys.executable, "-m", "parley", "serve", "--port", str(self.port)]
        environment = {
            "PARLEY_DATA_DIR": str(self.folder),
            "PARLEY_AGENT": "clerk",
            "PARLEY_TOOL_HOSTS": "127.0.0.1",
            "PARLEY_TOOL_SECRET": SECRET,
            "PARLEY_PUBLIC_URL": self.url,
            "PARLEY_DRAIN_S": "1",
        }
        self._server = Server(command, environment=environment)
        self._server.port, self._server.url = self.port, self.url
        await self._server.__aenter__()

    async def kill(self) -> None:
        """As the machine would for want of memory: nothing is written down any more."""
        assert self._server is not None
        os.kill(self._server.pid, signal.SIGKILL)
        self.kills += 1
        await self._server.__aexit__()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.__aexit__()

    async def book(self, slot: int) -> str:
        """What the agent says to it; "" when Parley went away meanwhile."""
        question = {"role": "user", "content": f"book slot {slot}"}
        wish = {"model": "agent:clerk", "messages": [question]}
        async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_LIMIT_S) as http:
            try:
                answer = await http.post(f"{self.url}/v1/chat/completions", json=wish)
            except GONE:
                return ""
        if not answer.is_success:
            return ""
        return str(answer.json()["choices"][0]["message"]["content"])

    async def runs(self) -> list[dict[str, Any]]:
        """Everything that is on record, newest first."""
        found: list[dict[str, Any]] = []
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
            while True:
                before = {"before": found[-1]["id"]} if found else {}
                page = await http.get("/v1/tools/runs", params={"limit": 100, **before})
                page.raise_for_status()
                found += page.json()["data"]
                if not page.json()["has_more"]:
                    return found


async def book_until_done(parley: Parley, workflow: Workflow, slot: int) -> int:
    """Ask as often as a caller has to; how often that was."""
    tries = 0
    async with asyncio.timeout(BOOKING_LIMIT_S):
        while True:
            tries += 1
            said = await parley.book(slot)
            is_booked = any(row.slot == slot for row in workflow.rows)
            if said.startswith("Booked") or (is_booked and "taken" in said):
                return tries
            # A server that is down, or a workflow that is left alone for a while because it failed
            # too often, gives nothing to wait on but the clock.
            await asyncio.sleep(AGAIN_PAUSE_S)


class Killer:
    """Kills Parley at random moments and starts it again, until it is ended."""

    def __init__(self, parley: Parley, chance: random.Random, most: int) -> None:
        self._parley = parley
        self._chance = chance
        self._most = most
        self._killing: asyncio.Task[None] | None = None
        self._is_over = asyncio.Event()

    async def __aenter__(self) -> Killer:
        self._killing = begin(self._kill(), "killer")
        return self

    async def __aexit__(self, *_: object) -> None:
        # One that has begun brings it back, or nobody could be asked what had happened.
        self._is_over.set()
        if self._killing is not None:
            await finished(self._killing)
            self._killing.result()

    async def _kill(self) -> None:
        while self._parley.kills < self._most:
            try:
                async with asyncio.timeout(self._chance.uniform(0.2, 2.0)):
                    await self._is_over.wait()
            except TimeoutError:
                await self._parley.kill()
                await self._parley.start()
            else:
                return


@dataclass(frozen=True)
class Verdict:
    """What is wrong with the rows and the record; and how the runs ended, by state."""

    problems: tuple[str, ...]
    states: Mapping[str, int]


def judge(wanted: Sequence[int], rows: Sequence[Row], runs: Sequence[Mapping[str, Any]]) -> Verdict:
    """Every slot once, every row's run on record, and no run still open."""
    problems: list[str] = []
    booked = Counter(row.slot for row in rows)
    problems += [
        f"slot {slot} was booked {booked[slot]} times" for slot in wanted if booked[slot] != 1
    ]
    problems += [f"slot {slot} was never asked for" for slot in booked if slot not in set(wanted)]
    by_id = {str(run["id"]): run for run in runs}
    for row in rows:
        run = by_id.get(row.run_id)
        if run is None:
            problems.append(f"the run that booked slot {row.slot} is not on record")
        elif run["idempotency_key"] != row.key or run["arguments"] != {"slot": row.slot}:
            problems.append(f"the record of slot {row.slot} is another's")
    problems += [f"the run {run['id']} is still open" for run in runs if run["state"] == "open"]
    for run in runs:
        if run["state"] in ("answered", "late") and run["answer"] is None:
            problems.append(f"the run {run['id']} is {run['state']} without an answer")
    return Verdict(tuple(problems), dict(Counter(str(run["state"]) for run in runs)))
