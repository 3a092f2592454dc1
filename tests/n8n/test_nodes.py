"""Our nodes in a real n8n, talking with a running Parley."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.e2e.server import Server
from tests.n8n.installation import Installation
from tests.n8n.instance import N8n, running_n8n
from tests.n8n.parley import Conversation, conversation, parley_with

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

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
        async with httpx.AsyncClient(base_url=self.n8n.url, timeout=60) as http:
            for _ in range(20):
                answer = await http.post(f"/webhook/{path}", json=dict(body or {}))
                if answer.status_code != 404:
                    break
                # n8n publishes a moment after it says so.
                await asyncio.sleep(0.3)
        return answer.json()


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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    folder = tmp_path_factory.mktemp("parley")
    (folder / "agents").mkdir()
    (folder / "guest-script.yaml").write_text(SCRIPT)
    guest = GUEST.format(script=folder / "guest-script.yaml")
    (folder / "agents/guest.yaml").write_text(guest)
    async with (
        running_n8n(installation, tmp_path_factory.mktemp("n8n")) as n8n,
        parley_with(n8n, folder, PARLEY_AGENTS_DIR=str(folder / "agents")) as server,
    ):
        # Only now its port is known; n8n takes what is imported while it runs.
        await n8n.set_credentials(server.url.replace("localhost", "127.0.0.1"), "")
        yield Bench(n8n, server)


@pytest_asyncio.fixture(loop_scope="session")
async def talk(bench: Bench) -> AsyncIterator[Conversation]:
    async with conversation(bench.server) as talk:
        await talk.greeted()
        yield talk


async def test_what_is_synthesised_can_be_transcribed(bench: Bench) -> None:
    text = "what are your opening hours"

    answer = await bench.operate(
        {"resource": "audio", "operation": "synthesise", "input": text, "format": "wav"},
        {"resource": "audio", "operation": "transcribe", "binaryField": "data"},
    )

    # The built-in recogniser mishears much of it.
    assert len(answer["text"].split()) > 2


async def test_a_call_is_seen_and_read(bench: Bench, talk: Conversation) -> None:
    named = {"callId": talk.call_id}

    call = await bench.operate({"resource": "call", "operation": "get", **named})
    read = await bench.operate({"resource": "call", "operation": "getTranscript", **named})

    assert (call["id"], call["status"]) == (talk.call_id, "live")
    assert read["call_id"] == talk.call_id
    assert [turn["role"] for turn in read["data"]] == ["agent"]


async def test_a_workflow_says_something_to_the_caller_and_hangs_up(
    bench: Bench, talk: Conversation
) -> None:
    named = {"resource": "call", "callId": talk.call_id}

    said = await bench.operate({**named, "operation": "say", "text": "Your taxi is here."})
    heard = await talk.greeted()
    ended = await bench.operate({**named, "operation": "hangUp"})

    assert said["id"] == talk.call_id
    assert "taxi" in heard
    assert ended["status"] in ("ending", "ended")


async def test_what_parley_refuses_is_told_in_its_own_words(
    bench: Bench, talk: Conversation
) -> None:
    transfer = await bench.operate(
        {"resource": "call", "operation": "transfer", "callId": talk.call_id, "target": "100"}
    )
    start = await bench.operate({"resource": "call", "operation": "start", "to": "tel:100"})
    nobody = await bench.operate({"resource": "call", "operation": "get", "callId": "call_none"})
    run = await bench.operate(
        {"resource": "toolRun", "operation": "answer", "runId": "run_none", "result": "{}"}
    )

    assert "error" in transfer and "error" in start
    assert "call_none" in nobody["error"] and "GET /v1/calls lists them." in nobody["error"]
    assert nobody["about"] == "Parley's code for it is not_found."
    assert "run" in run["error"]


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


async def test_a_published_workflow_hears_of_calls_until_it_is_unpublished(bench: Bench) -> None:
    trigger = node("Call", "n8n-nodes-parley.parleyCallEvent", 1, {"events": ["call_ended"]})
    trigger |= {"webhookId": str(uuid.uuid4()), "credentials": CREDENTIAL}
    keep = node("Keep", "n8n-nodes-base.dataTable", 1.1, {
        "resource": "row", "operation": "insert",
        "dataTableId": {"__rl": True, "mode": "name", "value": "parley_errors"},
        "columns": {
            "mappingMode": "defineBelow",
            "value": {"node": "={{ $json.event }}", "message": "={{ $json.call_id }}"},
        },
    })  # fmt: skip
    workflow_id = await bench.n8n.add_workflow(workflow([trigger, keep]))

    registered = await registrations(bench.server, 1)
    async with conversation(bench.server) as talk:
        await talk.greeted()
    told = await bench.n8n.row_of("parley_errors", "message", talk.call_id)
    async with bench.n8n.api() as api:
        (await api.post(f"/workflows/{workflow_id}/unpublish")).raise_for_status()
    await registrations(bench.server, 0)

    assert [hook["events"] for hook in registered] == [["call_ended"]]
    assert told["node"] == "call_ended"


async def test_a_workflow_asks_the_caller_and_gets_the_answer(
    bench: Bench, talk: Conversation
) -> None:
    question = {"resource": "call", "operation": "ask", "callId": talk.call_id, "timeoutS": 60}

    asking = asyncio.create_task(bench.operate({**question, "text": "Shall I call you a taxi?"}))
    try:
        await talk.hears("agent_speech_stopped")
        while not asking.done():
            await talk.utter("yes")
            await asyncio.wait([asking], timeout=8)
    finally:
        asking.cancel()

    assert "yes" in asking.result()["text"]


async def test_a_tool_answers_later_and_tells_meanwhile_how_it_goes(bench: Bench) -> None:
    given = {
        "name": "ask_hotel",
        "description": "Asks the hotel for a room.",
        "parametersSchema": '{"type": "object", "properties": {}}',
        "answer": "later",
        "sayMeanwhile": "I am asking the hotel.",
        "options": {"timeoutS": 60},
    }
    trigger = node("Parley Tool", "n8n-nodes-parley.parleyTool", 1, given)
    hook = str(uuid.uuid4())
    run = {"resource": "toolRun", "runId": "={{ $('Parley Tool').first().json.run_id }}"}
    result = json.dumps({"room": "twelve"})
    workflow_id = await bench.n8n.add_workflow(
        workflow([
            trigger | {"webhookId": hook, "credentials": CREDENTIAL},
            wait("A while"),
            parley_node("Progress", {**run, "operation": "progress", "say": "Nearly there."}),
            wait("Longer"),
            parley_node("Answer", {**run, "operation": "answer", "result": result}),
        ])
    )  # fmt: skip
    await bench.n8n.tag(workflow_id)
    await bench.server.logged("n8n_tools", "ask_hotel")

    async with conversation(bench.server, "guest") as talk:
        await talk.greeted()
        reply = await talk.say("where are you", until="twelve")

    assert talk.tools() == [("ask_hotel", "")]
    told = [str(event.get("text", "")) for event in talk.events]
    assert any("asking the hotel" in text for text in told), talk.events
    assert any("Nearly there" in text for text in told), told
    assert "twelve" in reply


def wait(name: str) -> dict[str, Any]:
    return node(name, "n8n-nodes-base.wait", 1.1, {"amount": 4, "unit": "seconds"}) | {
        "webhookId": str(uuid.uuid4())
    }
