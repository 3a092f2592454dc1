"""The shipped n8n workflows: what n8n would only tell in the middle of a call is found here.

``scripts/test-n8n`` runs them in a real n8n.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/n8n/workflows"
FILES = sorted(FOLDER.rglob("*.json"))
NODES = ROOT / "integrations/n8n-nodes-parley"
TOOL = "n8n-nodes-parley.parleyTool"
STARTS = ("Trigger", "webhook", "parleyTool")
FIVE = {
    "free_times",
    "book_appointment",
    "move_appointment",
    "cancel_appointment",
    "list_appointments",
}
LOOKS = {"free_times", "list_appointments"}
# What n8n's own retry would repeat: it asks for a node again, not for a whole run.
CHANGING = ("insert", "update", "deleteRows", "create", "delete")

Workflow = dict[str, Any]


def workflow(file: Path) -> Workflow:
    return json.loads(file.read_text(encoding="utf-8"))


WORKFLOWS = {file.relative_to(FOLDER).as_posix(): workflow(file) for file in FILES}
TOOLS = {
    name: made
    for name, made in WORKFLOWS.items()
    if any(node["type"] == TOOL for node in made["nodes"])
}
every_workflow = pytest.mark.parametrize("made", WORKFLOWS.values(), ids=WORKFLOWS)
every_tool = pytest.mark.parametrize("made", TOOLS.values(), ids=TOOLS)


def nodes(made: Workflow) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in made["nodes"]}


def targets(made: Workflow, source: str) -> Iterator[str]:
    for outputs in made["connections"].get(source, {}).values():
        for output in outputs:
            yield from (join["node"] for join in output)


def starts(made: Workflow) -> list[str]:
    return [name for name, node in nodes(made).items() if node["type"].endswith(STARTS)]


def reached(made: Workflow, source: str) -> set[str]:
    found: set[str] = set()
    waiting = [source]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += targets(made, name)
    return found


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def test_the_files_are_what_their_sources_make() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "make_workflows", "--check"],
        cwd=ROOT / "deploy/n8n",
        capture_output=True,
        text=True,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_two_things_have_the_same_id() -> None:
    made = list(WORKFLOWS.values())
    ids = Counter(each["id"] for each in made)
    node_ids = Counter(node["id"] for each in made for node in each["nodes"])
    hooks = Counter(
        node["webhookId"] for each in made for node in each["nodes"] if "webhookId" in node
    )

    for counted in (ids, node_ids, hooks):
        assert [key for key, count in counted.items() if count > 1] == []
    assert all(re.fullmatch(r"[A-Za-z0-9]{16}", key) for key in ids)


def test_no_two_workflows_listen_at_the_same_address() -> None:
    # MCP servers and webhooks share one table of addresses; n8n publishes the second all the same,
    # and its address answers 404.
    paths = Counter(
        node["parameters"]["path"]
        for made in WORKFLOWS.values()
        for node in made["nodes"]
        if "path" in node["parameters"]
    )

    assert paths
    assert [path for path, count in paths.items() if count > 1] == []


@every_workflow
def test_every_connection_joins_two_nodes_that_are_there(made: Workflow) -> None:
    known = nodes(made)

    assert len(known) == len(made["nodes"]), "two nodes of the same name"
    for source in made["connections"]:
        assert {source, *targets(made, source)} <= known.keys()


@every_workflow
def test_every_node_can_be_reached(made: Workflow) -> None:
    reachable = set().union(*(reached(made, start) for start in starts(made)))
    tools = {name for name in nodes(made) if "ai_tool" in made["connections"].get(name, {})}

    assert starts(made)
    assert nodes(made).keys() - tools <= reachable


@every_workflow
def test_no_run_lasts_forever_and_its_failure_is_written_down(made: Workflow) -> None:
    settings = made["settings"]

    assert 0 < settings["executionTimeout"] <= 60
    assert settings["executionOrder"] == "v1"
    errors = WORKFLOWS["errors.json"]["id"]
    assert settings.get("errorWorkflow") == (None if made["id"] == errors else errors)


@every_tool
def test_every_way_through_a_tool_ends_with_its_envelope(made: Workflow) -> None:
    for start in starts(made):
        ends = {name for name in reached(made, start) if not list(targets(made, name))}
        assert ends == {"Answer"}
    said = " ".join(strings(made["nodes"]))
    assert "ok: true" in said
    assert "ok: false, error: { code, message, retryable: false }" in re.sub(r"\s+", " ", said)


@every_tool
def test_a_node_that_may_find_nothing_does_not_end_the_run_without_an_answer(
    made: Workflow,
) -> None:
    silent = [
        name
        for name, node in nodes(made).items()
        if node["type"].endswith(("dataTable", "googleCalendar", "httpRequest"))
        and not node.get("alwaysOutputData")
    ]

    assert silent == []


@every_tool
def test_a_tool_is_discovered_and_described(made: Workflow) -> None:
    (node,) = [node for node in made["nodes"] if node["type"] == TOOL]
    given = node["parameters"]
    schema = json.loads(given["parametersSchema"])

    assert [tag["name"] for tag in made["tags"]] == ["parley-tool"]
    assert given["name"] in FIVE
    assert given["description"]
    assert set(schema["required"]) <= schema["properties"].keys()
    assert all(each["description"] for each in schema["properties"].values())
    changes = given["name"] not in LOOKS
    assert given["options"].get("changes", False) is changes
    assert given["options"].get("confirms", False) is changes
    assert given["options"]["timeoutS"] > made["settings"]["executionTimeout"]


def test_only_what_a_call_may_use_is_a_tool() -> None:
    tagged = {name for name, made in WORKFLOWS.items() if made["tags"]}

    assert tagged == TOOLS.keys()
    assert {name.rpartition("/")[2].removesuffix(".json") for name in TOOLS} == FIVE


@every_tool
def test_a_tool_takes_the_same_by_mcp_as_by_its_trigger(made: Workflow) -> None:
    (trigger,) = [node for node in made["nodes"] if node["type"] == TOOL]
    (called,) = [n for n in made["nodes"] if n["type"].endswith("executeWorkflowTrigger")]
    schema = json.loads(trigger["parameters"]["parametersSchema"])

    inputs = [each["name"] for each in called["parameters"]["workflowInputs"]["values"]]

    assert inputs == [*schema["properties"], "idempotency_key"]


def test_every_sub_workflow_that_is_called_is_shipped() -> None:
    ids = {made["id"] for made in WORKFLOWS.values()}
    called = set(re.findall(r"'(parley\w{10})'", json.dumps(WORKFLOWS["plain_webhook.json"])))
    called |= {
        node["parameters"]["workflowId"]["value"]
        for node in WORKFLOWS["mcp_server.json"]["nodes"]
        if "workflowId" in node["parameters"]
    }

    assert len(called) == len(FIVE)
    assert called <= ids


@every_workflow
def test_no_expression_says_what_n8n_refuses(made: Workflow) -> None:
    for text in strings([node["parameters"] for node in made["nodes"]]):
        if text.startswith("="):
            assert not re.search(r"\barguments\b", text), text
            assert not re.search(r"\$env\b|\bprocess\b|\brequire\(", text), text
            # Two braces together end an expression early.
            plain = re.sub(r"\{\{((?!\}\}|\{\{).)*\}\}", "", text, flags=re.DOTALL)
            assert "}}" not in plain and "{{" not in plain, text


@every_workflow
def test_every_node_that_an_expression_names_is_there(made: Workflow) -> None:
    named = {
        name
        for text in strings([node["parameters"] for node in made["nodes"]])
        for name in re.findall(r"\$\('([^']+)'\)", text)
    }

    assert named <= nodes(made).keys()


@every_workflow
def test_no_secret_is_in_a_workflow(made: Workflow) -> None:
    for node in made["nodes"]:
        for credential in node.get("credentials", {}).values():
            assert set(credential) == {"id", "name"}
        if node["type"].endswith(("webhook", "mcpTrigger")):
            assert node["parameters"]["authentication"] != "none"
            assert node["credentials"]
    text = json.dumps(made)
    assert not re.search(r"pk_[A-Za-z0-9]{8}|whsec_|Bearer [A-Za-z0-9]{8}|password\"", text)


@every_workflow
def test_nothing_that_changes_something_is_tried_twice_by_n8n(made: Workflow) -> None:
    repeated = [
        name
        for name, node in nodes(made).items()
        if node.get("retryOnFail")
        and (
            node["parameters"].get("operation") in CHANGING
            or node["parameters"].get("method", "GET") in ("PUT", "POST", "DELETE")
        )
    ]

    assert repeated == []


def test_the_practice_is_the_same_in_every_tool() -> None:
    practices = {
        node["parameters"]["jsonOutput"]
        for made in TOOLS.values()
        for node in made["nodes"]
        if node["name"] == "Practice"
    }

    assert len(practices) == 1
    assert json.loads(practices.pop())["practice"]["time_zone"]


def test_the_nodes_are_those_of_our_package() -> None:
    manifest = json.loads((NODES / "package.json").read_text())
    shipped = {
        f"{manifest['name']}.{name[0].lower()}{name[1:]}"
        for name in (Path(file).name.removesuffix(".node.js") for file in manifest["n8n"]["nodes"])
    }
    used = {
        node["type"]
        for made in WORKFLOWS.values()
        for node in made["nodes"]
        if node["type"].startswith("n8n-nodes-parley")
    }

    assert used == {TOOL}
    assert used <= shipped
