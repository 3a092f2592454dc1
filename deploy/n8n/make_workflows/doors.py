"""The workflows around the five tools: other ways in, what happens on errors, what is set up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from make_workflows.flow import ERRORS, Flow, shaped, when
from make_workflows.table import COLUMNS, TABLE
from make_workflows.words import expression

ERROR_TABLE = "parley_errors"
_ERROR_COLUMNS = ("at", "workflow", "node", "message", "execution")
_SET, _IF, _TABLE = "n8n-nodes-base.set", "n8n-nodes-base.if", "n8n-nodes-base.dataTable"


class Described(Protocol):
    @property
    def description(self) -> str: ...

    @property
    def inputs(self) -> Sequence[str]: ...

    @property
    def required(self) -> Mapping[str, Any]: ...

    @property
    def optional(self) -> Mapping[str, Any]: ...


def doors(tools: Mapping[str, Flow], described: Mapping[str, Described]) -> dict[str, Flow]:
    return {
        "setup": setup(),
        "errors": errors(),
        "mcp_server": mcp_server(tools, described),
        "plain_webhook": plain_webhook(tools),
    }


def setup() -> Flow:
    """Makes the tables; run once by hand, and again without harm."""
    flow = Flow(
        "parleySetup00001", "Parley: set up", "Makes the tables of the other workflows.",
        # Nobody waits for it on the telephone, and half of it would be worse than none.
        timeout_s=60,
    )  # fmt: skip
    start = flow.add("Run me once", "n8n-nodes-base.manualTrigger", 1, {}, (0, 0))
    first = flow.add("Appointments", _TABLE, 1.1, _created(TABLE, COLUMNS), (1, 0))
    second = flow.add("Errors", _TABLE, 1.1, _created(ERROR_TABLE, _ERROR_COLUMNS), (2, 0))
    flow.chain(start, first, second)
    return flow


def _created(name: str, columns: Sequence[str]) -> dict[str, Any]:
    return {
        "resource": "table",
        "operation": "create",
        "tableName": name,
        "columns": {"column": [{"name": each, "type": "string"} for each in columns]},
        "options": {"createIfNotExists": True},
    }


def errors() -> Flow:
    """Writes down what failed: Parley is told no more than that something did."""
    flow = Flow(ERRORS, "Parley: errors", "Keeps what went wrong in a tool's workflow.")
    failed = flow.add("A workflow failed", "n8n-nodes-base.errorTrigger", 1, {}, (0, 0))
    value = {
        "at": "={{ $now.toISO() }}",
        "workflow": "={{ $json.workflow.name }}",
        "node": "={{ $json.execution?.lastNodeExecuted ?? '' }}",
        "message": expression(
            "String(($json.execution ?? $json.trigger)?.error?.message ?? '').slice(0, 500)"
        ),
        "execution": "={{ $json.execution?.id ?? '' }}",
    }
    kept = flow.add(
        "Keep it", _TABLE, 1.1,
        {
            "resource": "row",
            "operation": "insert",
            "dataTableId": {"__rl": True, "mode": "name", "value": ERROR_TABLE},
            "columns": {"mappingMode": "defineBelow", "value": value, "schema": []},
            "options": {},
        },
        (1, 0),
    )  # fmt: skip
    flow.join(failed, kept)
    return flow


def mcp_server(tools: Mapping[str, Flow], described: Mapping[str, Described]) -> Flow:
    """The same five tools for whoever speaks MCP."""
    flow = Flow(
        "parleyMcpServer1", "Parley: appointments by MCP",
        "Serves the five appointment tools by MCP at /mcp/parley-tools.", timeout_s=20,
    )  # fmt: skip
    server = flow.add(
        "Appointments", "@n8n/n8n-nodes-langchain.mcpTrigger", 2.1,
        {"authentication": "bearerAuth", "path": "parley-tools"},
        (0, 0), credential="httpBearerAuth", webhook=True,
    )  # fmt: skip
    for column, (name, tool) in enumerate(tools.items()):
        facts = described[name]
        node = flow.add(
            name, "@n8n/n8n-nodes-langchain.toolWorkflow", 2.2,
            {
                "description": facts.description,
                "source": "database",
                "workflowId": {"__rl": True, "mode": "id", "value": tool.key},
                "workflowInputs": _from_the_model(facts),
            },
            (column, 2),
        )  # fmt: skip
        flow.join(node, server, kind="ai_tool")
    return flow


def _from_the_model(facts: Described) -> dict[str, Any]:
    told = {
        name: each["description"] for name, each in {**facts.required, **facts.optional}.items()
    }
    told = {
        name: words if name in facts.required else f"{words}; else empty"
        for name, words in told.items()
    }
    told["idempotency_key"] = "Leave it empty"
    return {
        "mappingMode": "defineBelow",
        "value": {
            name: f"={{{{ $fromAI('{name}', `{told[name]}`, 'string') }}}}" for name in facts.inputs
        },
        "matchingColumns": [],
        "schema": [
            {
                "id": name,
                "displayName": name,
                "type": "string",
                "required": False,
                "defaultMatch": False,
                "display": True,
                "canBeUsedToMatch": True,
            }
            for name in facts.inputs
        ],
    }


def plain_webhook(tools: Mapping[str, Flow]) -> Flow:
    """The same five tools by an ordinary webhook, for an n8n without the node package."""
    flow = Flow(
        "parleyWebhook001", "Parley: appointments by webhook",
        "Takes a tool's envelope at /webhook/parley-appointments and answers in one.", timeout_s=10,
    )  # fmt: skip
    taken = flow.add(
        "Webhook", "n8n-nodes-base.webhook", 2,
        {
            "httpMethod": "POST",
            "path": "parley-appointments",
            "authentication": "headerAuth",
            "responseMode": "lastNode",
            "options": {},
        },
        (0, 0), credential="httpHeaderAuth", webhook=True,
    )  # fmt: skip
    keys = ", ".join(f"{name}: '{tool.key}'" for name, tool in tools.items())
    called = (
        "(() => { const tools = { " + keys + " }; const b = $json.body ?? {}; "
        "return { workflow: Object.hasOwn(tools, b.tool) ? tools[b.tool] : '', "
        "...(b.args ?? {}), idempotency_key: b.idempotency_key ?? '' }; })()"
    )
    flat = flow.add("Tool", _SET, 3.4, shaped(called), (1, 0))
    known = flow.add("Known?", _IF, 2.2, when("!!$json.workflow"), (2, 0))
    run = flow.add(
        "Run it", "n8n-nodes-base.executeWorkflow", 1.1,
        {
            "source": "database",
            "workflowId": {"__rl": True, "mode": "id", "value": "={{ $json.workflow }}"},
            "mode": "once",
            "options": {"waitForSubWorkflow": True},
        },
        (3, 0),
    )  # fmt: skip
    unknown = (
        "{ ok: false, error: { code: 'unknown_tool', "
        "message: 'There is no such tool behind this webhook.', retryable: false } }"
    )
    refused = flow.add("Unknown", _SET, 3.4, shaped(unknown), (3, 1))
    flow.chain(taken, flat, known, run)
    flow.join(known, refused, 1)
    return flow
