"""Our nodes on the bench: an n8n whose credential leads to a running Parley, and workflows for
both."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.server import Server
from tests.n8n.instance import N8n
from tests.n8n.parley import Conversation, parley_with

GUEST = """
title: Hotel
greeting: Hello.
engines:
  llm: {{engine: scripted, script: {script}}}
tools:
  - n8n: {{only: [ask_hotel]}}
"""
SCRIPT = """
name: guest
greeting: Hello.
fallback: Sorry, I did not get that.
intents:
  - name: room
    say: where are you
    call: ask_hotel
    on_result: "You have room {result.room}."
    on_error:
      - {if: error, reply: "{error}"}
"""

CREDENTIAL = {"parleyApi": {"id": "parleyApi0000001", "name": "Parley"}}


class Bench:
    """An n8n whose credential leads to a running Parley."""

    def __init__(self, n8n: N8n, server: Server) -> None:
        self.n8n = n8n
        self.server = server

    async def operate(
        self, *steps: Mapping[str, Any], body: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the Parley node with these parameters, one after another; gives the last output."""
        path = f"test-{uuid.uuid4()}"
        hook = node("Start", "n8n-nodes-base.webhook", 2, {
            "httpMethod": "POST", "path": path, "responseMode": "lastNode", "options": {},
        })  # fmt: skip
        nodes = [hook | {"webhookId": path}]
        nodes += [parley_node(f"Step {n}", step) for n, step in enumerate(steps)]
        await self.n8n.add_workflow(workflow(nodes))
        async with httpx.AsyncClient(base_url=self.n8n.hook_url(), timeout=60) as http:
            for _ in range(20):
                answer = await http.post(f"/webhook/{path}", json=dict(body or {}))
                if answer.status_code != 404:
                    break
                # n8n publishes a moment after it says so.
                await asyncio.sleep(0.3)
        return answer.json()

    async def ask(self, talk: Conversation, question: str, reply: str) -> Any:
        """A workflow asks the caller, who replies until it was heard; gives what the node gave."""
        step = {"resource": "call", "operation": "ask", "callId": talk.call_id, "timeoutS": 60}
        asking = asyncio.create_task(self.operate({**step, "text": question}))
        try:
            await talk.hears("agent_speech_stopped")
            while not asking.done():
                await talk.utter(reply)
                await asyncio.wait([asking], timeout=8)
        finally:
            asking.cancel()
        return asking.result()


def node(name: str, kind: str, version: float, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "name": name,
        "type": kind,
        "typeVersion": version,
        "position": [0, 0],
        "parameters": dict(parameters),
    }


def parley_node(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    made = node(name, "n8n-nodes-parley.parley", 1, parameters)
    # So that what went wrong comes back as the item's own words.
    return made | {"credentials": CREDENTIAL, "onError": "continueRegularOutput"}


def workflow(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    """A workflow in which each node follows the one before it."""
    connections = {
        one["name"]: {"main": [[{"node": other["name"], "type": "main", "index": 0}]]}
        for one, other in pairwise(nodes)
    }
    return {
        "name": f"Test {uuid.uuid4()}",
        "nodes": nodes,
        "connections": connections,
        "settings": {"executionOrder": "v1", "executionTimeout": 60},
    }


@asynccontextmanager
async def bench_of(n8n: N8n, folder: Path, **settings: str) -> AsyncIterator[Bench]:
    """Start a Parley that knows this n8n, and is known to it."""
    (folder / "agents").mkdir()
    (folder / "guest-script.yaml").write_text(SCRIPT)
    guest = GUEST.format(script=folder / "guest-script.yaml")
    (folder / "agents/guest.yaml").write_text(guest)
    settings["PARLEY_AGENTS_DIR"] = str(folder / "agents")
    async with parley_with(n8n, folder, **settings) as server:
        # Only now its port is known; n8n takes what is imported while it runs.
        await n8n.set_credentials(server.url.replace("localhost", "127.0.0.1"), "")
        yield Bench(n8n, server)


async def registrations(server: Server, count: int) -> list[dict[str, Any]]:
    """The webhooks, once there are so many: n8n publishes a moment after it says so."""
    found: list[dict[str, Any]] = []
    for _ in range(100):
        found = server.get("/v1/webhooks")["data"]
        if len(found) == count:
            break
        await asyncio.sleep(0.3)
    assert len(found) == count
    return found


def wait(name: str) -> dict[str, Any]:
    return node(name, "n8n-nodes-base.wait", 1.1, {"amount": 4, "unit": "seconds"}) | {
        "webhookId": str(uuid.uuid4())
    }


def keeper_of_ended_calls() -> dict[str, Any]:
    """A workflow that writes down each call that has ended."""
    trigger = node("Call", "n8n-nodes-parley.parleyCallEvent", 1, {"events": ["call_ended"]})
    keep = node("Keep", "n8n-nodes-base.dataTable", 1.1, {
        "resource": "row", "operation": "insert",
        "dataTableId": {"__rl": True, "mode": "name", "value": "parley_errors"},
        "columns": {
            "mappingMode": "defineBelow",
            "value": {"node": "={{ $json.event }}", "message": "={{ $json.call_id }}"},
        },
    })  # fmt: skip
    hook = {"webhookId": str(uuid.uuid4()), "credentials": CREDENTIAL}
    return workflow([trigger | hook, keep])


def hotel_that_answers_later() -> dict[str, Any]:
    """The tool ask_hotel: it answers after eight seconds, and tells meanwhile how it goes."""
    given = {
        "name": "ask_hotel",
        "description": "Asks the hotel for a room.",
        "parametersSchema": '{"type": "object", "properties": {}}',
        "answer": "later",
        "sayMeanwhile": "I am asking the hotel.",
        "options": {"timeoutS": 60},
    }
    trigger = node("Parley Tool", "n8n-nodes-parley.parleyTool", 1, given)
    run = {"resource": "toolRun", "runId": "={{ $('Parley Tool').first().json.run_id }}"}
    result = json.dumps({"room": "twelve"})
    return workflow([
        trigger | {"webhookId": str(uuid.uuid4()), "credentials": CREDENTIAL},
        wait("A while"),
        parley_node("Progress", {**run, "operation": "progress", "say": "Nearly there."}),
        wait("Longer"),
        parley_node("Answer", {**run, "operation": "answer", "result": result}),
    ])  # fmt: skip
