"""What n8n says of its workflows, read: which of them are tools, and what those take.

A tool is a published workflow with the tag ``parley-tool`` that begins with our *Parley Tool*
node: name, description and parameters are set on the node.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from pydantic import ValidationError

from parley.tools.webhook.options import WebhookOptions

TAG = "parley-tool"
_NODE = "parleyTool"
_RULES = {
    "changes": "changes",
    "confirms": "confirms",
    "filler": "filler",
    "timeoutS": "timeout_s",
    "onInterruption": "on_interruption",
}


@dataclass(frozen=True, slots=True)
class WorkflowTool:
    """One workflow as a tool. ``fields`` are a webhook's options as an agent's file has them."""

    workflow: str
    fields: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.fields["name"])

    def options(self) -> WebhookOptions:
        return WebhookOptions.model_validate(dict(self.fields))


@dataclass(frozen=True, slots=True)
class Found:
    """The tools of some workflows, by name, and what is wrong with those that are none."""

    tools: Mapping[str, WorkflowTool]
    problems: tuple[str, ...] = ()


def tools_in(workflows: Iterable[Mapping[str, Any]], base_url: str) -> Found:
    """The tools among workflows as the REST API lists them. Of two with one name the workflow
    with the lower id counts, whatever order they come in."""
    tools: dict[str, WorkflowTool] = {}
    problems: list[str] = []
    for workflow in sorted(workflows, key=lambda each: str(each.get("id"))):
        title = str(workflow.get("name") or workflow.get("id"))
        nodes = _published_nodes(workflow)
        if not nodes:
            problems.append(f'The workflow "{title}" has no Parley Tool node.')
        for node in nodes:
            try:
                tool = WorkflowTool(title, _fields(node, base_url))
                tool.options()
            except (ValidationError, ValueError) as error:
                problems.append(f'The workflow "{title}" is no tool: {_said(error)}')
                continue
            if tool.name in tools:
                other = tools[tool.name].workflow
                problems.append(f'"{title}" and "{other}" are both called {tool.name}.')
                continue
            tools[tool.name] = tool
    return Found(tools, tuple(problems))


def _published_nodes(workflow: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Our nodes in what n8n runs: a draft that was saved since is not yet published."""
    version = workflow.get("activeVersion")
    source = cast("Mapping[str, Any]", version) if isinstance(version, Mapping) else workflow
    nodes = source.get("nodes")
    found: list[Mapping[str, Any]] = []
    for node in cast("list[Any]", nodes) if isinstance(nodes, list) else []:
        if not isinstance(node, Mapping):
            continue
        named = cast("Mapping[str, Any]", node)
        is_ours = str(named.get("type")).rpartition(".")[2] == _NODE
        if is_ours and not named.get("disabled"):
            found.append(named)
    return found


def _fields(node: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    """Raises ``ValueError`` that says what is missing."""
    set_on_it = node.get("parameters")
    if not isinstance(set_on_it, Mapping):
        raise ValueError("nothing is set on its Parley Tool node")
    parameters = cast("Mapping[str, Any]", set_on_it)
    webhook_id = node.get("webhookId")
    if not isinstance(webhook_id, str) or not webhook_id:
        raise ValueError("its Parley Tool node has no webhook; save the workflow once in n8n")
    fields: dict[str, Any] = {
        "name": _constant(parameters, "name"),
        "description": _constant(parameters, "description"),
        "url": f"{base_url}/webhook/{quote(webhook_id, safe='')}/tool",
        "parameters": _schema(parameters),
    }
    options = parameters.get("options")
    for theirs, ours in _RULES.items():
        if isinstance(options, Mapping) and theirs in options:
            fields[ours] = cast("Mapping[str, Any]", options)[theirs]
    return fields


def _constant(parameters: Mapping[str, Any], name: str) -> Any:
    value = parameters.get(name, "")
    # n8n works an expression out when the workflow runs, and the model must know before.
    if isinstance(value, str) and value.startswith("="):
        raise ValueError(f"{name} is an expression; write it out")
    return value


def _schema(parameters: Mapping[str, Any]) -> Any:
    schema = _constant(parameters, "parametersSchema")
    if not isinstance(schema, str):
        return schema
    try:
        return json.loads(schema) if schema.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ValueError(f"Parameters is no JSON: {error}") from error


def _said(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"
