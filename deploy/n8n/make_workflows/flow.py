"""A workflow under construction: nodes are added, joined and laid out in columns."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from make_workflows.words import expression

_NAMES = uuid.UUID("5f1d9b52-6a52-4d3e-9a41-2f0b6d1f7c11")
ERRORS = "parleyErrors0001"
CREDENTIALS = {
    "parleyApi": {"id": "parleyApi0000001", "name": "Parley"},
    "httpBearerAuth": {"id": "parleyBearer0001", "name": "Parley, bearer token for MCP"},
    "httpHeaderAuth": {"id": "parleyHeader0001", "name": "Parley, header for plain webhooks"},
    "httpBasicAuth": {"id": "parleyCalDav0001", "name": "Calendar server"},
    "googleCalendarOAuth2Api": {"id": "parleyGoogle0001", "name": "Google Calendar"},
}


@dataclass
class Flow:
    """One workflow. ``key`` is its id in n8n, sixteen characters."""

    key: str
    name: str
    description: str
    timeout_s: int = 8
    is_tool: bool = False
    nodes: list[dict[str, Any]] = field(default_factory=list)
    joins: list[tuple[str, int, str, str]] = field(default_factory=list)

    def add(
        self,
        name: str,
        kind: str,
        version: float,
        parameters: Mapping[str, Any],
        at: tuple[int, int],
        *,
        credential: str = "",
        webhook: bool = False,
        **more: Any,
    ) -> str:
        """Add a node in a column and a row of the canvas; gives its name."""
        node: dict[str, Any] = {
            "id": str(uuid.uuid5(_NAMES, f"{self.key}/{name}")),
            "name": name,
            "type": kind,
            "typeVersion": version,
            "position": [at[0] * 220, at[1] * 180],
            "parameters": dict(parameters),
            **more,
        }
        if webhook:
            node["webhookId"] = str(uuid.uuid5(_NAMES, f"{self.key}/{name}/webhook"))
        if credential:
            node["credentials"] = {credential: CREDENTIALS[credential]}
        self.nodes.append(node)
        return name

    def join(self, source: str, target: str, output: int = 0, kind: str = "main") -> None:
        self.joins.append((source, output, target, kind))

    def chain(self, *names: str) -> None:
        for source, target in pairwise(names):
            self.join(source, target)

    def made(self) -> dict[str, Any]:
        """What n8n imports."""
        connections: dict[str, dict[str, list[list[dict[str, Any]]]]] = {}
        for source, output, target, kind in self.joins:
            outputs = connections.setdefault(source, {}).setdefault(kind, [])
            while len(outputs) <= output:
                outputs.append([])
            outputs[output].append({"node": target, "type": kind, "index": 0})
        settings: dict[str, Any] = {
            "executionOrder": "v1",
            "executionTimeout": self.timeout_s,
            "callerPolicy": "workflowsFromSameOwner",
        }
        if self.key != ERRORS:
            settings["errorWorkflow"] = ERRORS
        return {
            "id": self.key,
            "name": self.name,
            "description": self.description,
            "active": False,
            "settings": settings,
            "nodes": self.nodes,
            "connections": connections,
            "tags": [{"id": "parleyTag0000001", "name": "parley-tool"}] if self.is_tool else [],
        }


def shaped(code: str) -> dict[str, Any]:
    """Parameters of a Set node whose whole output is what the JavaScript returns."""
    return {"mode": "raw", "jsonOutput": expression(code), "options": {}}


def when(code: str) -> dict[str, Any]:
    """Parameters of an If node: the first output when the JavaScript is true."""
    return {
        "conditions": {
            "options": {"caseSensitive": True, "typeValidation": "strict", "version": 2},
            "combinator": "and",
            "conditions": [
                {
                    "id": "is-so",
                    "leftValue": expression(code),
                    "rightValue": "",
                    "operator": {"type": "boolean", "operation": "true", "singleValue": True},
                }
            ],
        },
        "options": {},
    }


def called_with(fields: Sequence[str]) -> dict[str, Any]:
    """Parameters of a sub-workflow's trigger with these inputs."""
    return {"workflowInputs": {"values": [{"name": name, "type": "string"} for name in fields]}}
