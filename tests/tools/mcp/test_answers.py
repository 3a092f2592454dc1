"""What the model gets of an MCP server's answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from parley.core.errors import ToolFailed
from parley.tools.mcp.answers import result_of
from parley.tools.mcp.facts import Reply
from parley.tools.mcp.options import McpOptions
from parley.tools.mcp.schemas import plain_schema

OPTIONS = McpOptions.model_validate(
    {"name": "crm", "url": "https://mcp.example.org/mcp", "only": ["*"]}
)


def result(reply: Reply, *, changes: bool = False) -> Any:
    return result_of(reply, "find_customer", OPTIONS, changes=changes)


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (Reply(texts=("Ada is known.",)), "Ada is known."),
        (Reply(texts=('{"name": "Ada"}',)), {"name": "Ada"}),
        (Reply(texts=('[{"name": "Ada"}]',)), {"name": "Ada"}),
        (Reply(texts=('["Ada"]',)), ["Ada"]),
        (Reply(data={"result": "Ada"}, texts=("Ada",)), "Ada"),
        (Reply(data={"result": '[{"name": "Ada"}]'}), {"name": "Ada"}),
        (Reply(texts=("one", " ", "two")), "one\ntwo"),
        (Reply(), {"status": "done"}),
        (Reply(data={"ok": True, "result": [1]}), [1]),
        (Reply(data={"ok": True, "result": {"a": 1}, "say": "A."}), {"a": 1, "say": "A."}),
        (Reply(data={"ok": "green"}), {"ok": "green"}),
        (Reply(texts=("A picture of Ada.",), others=("image",)), "A picture of Ada."),
    ],
)
def test_the_carrier_is_taken_off(reply: Reply, wanted: Any):
    assert result(reply) == wanted


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(is_error=True, texts=("Nobody is called that.",)), "Nobody is called that."),
        (Reply(is_error=True, texts=("Error executing tool f: no diary",)), "no diary"),
        (Reply(is_error=True, texts=('{"error": {"message": "no diary"}}',)), "no diary"),
        (Reply(is_error=True, texts=("Error executing tool f",)), "has a problem of its own"),
        (Reply(is_error=True, texts=("Unknown tool: f",)), "isn't there any more"),
        (Reply(is_error=True), "The service for find customer has a problem of its own."),
        (Reply(texts=('There was an error: "refused"',)), "refused"),
        (
            Reply(data={"ok": False, "error": {"code": "x", "message": "It's taken."}}),
            "It's taken.",
        ),
        (Reply(data={"ok": False, "error": {"code": "x"}, "say": "Taken."}), "Taken."),
        (Reply(others=("image",)), "answered with a picture"),
        (Reply(others=("audio",)), "answered with a recording"),
        (Reply(others=("file",)), "answered with a file"),
        (Reply(data={f"f{n}": "x " * 90 for n in range(200)}), "more than I can take in"),
    ],
)
def test_a_failure_is_a_sentence(reply: Reply, says: str):
    with pytest.raises(ToolFailed) as failed:
        result(reply)

    assert says in str(failed.value)


def test_after_a_change_nobody_claims_that_nothing_was_done():
    huge = Reply(data={f"f{n}": "x " * 90 for n in range(200)})

    with pytest.raises(ToolFailed, match="may have been done"):
        result(huge, changes=True)


def test_a_long_list_is_cut_short_and_says_so():
    kept = result(Reply(texts=(json.dumps(list(range(100))),)))

    assert kept[:2] == [0, 1]
    assert kept[-1] == "… and 80 more of 100"


def test_references_in_a_schema_are_resolved_and_hidden_arguments_left_out():
    schema = {
        "properties": {"who": {"$ref": "#/$defs/Person"}, "key": {"type": "string"}},
        "required": ["who", "key"],
        "$defs": {
            "Person": {
                "type": "object",
                "properties": {"boss": {"$ref": "#/$defs/Person"}, "name": {"type": "string"}},
            }
        },
    }

    plain = plain_schema(schema, frozenset({"key"}))

    assert plain["required"] == ["who"]
    assert plain["properties"].keys() == {"who"}
    assert plain["properties"]["who"]["properties"]["name"] == {"type": "string"}
    assert "$ref" not in json.dumps(plain)


@pytest.mark.parametrize("references", [3, 30])
def test_a_schema_that_refers_to_itself_many_times_stays_small(references: int):
    wish = {"$ref": "#/$defs/Filter"}
    inner = {"properties": {f"part_{n}": wish for n in range(references)}}
    schema = {"properties": {"filter": wish}, "$defs": {"Filter": inner}}

    plain = plain_schema(schema)

    assert len(json.dumps(plain)) < 50_000
    assert plain["properties"]["filter"]["properties"].keys() == inner["properties"].keys()


def test_a_schema_that_is_none_takes_no_other_tool_along():
    assert plain_schema({"properties": ["a"], "required": "a"}) == {
        "type": "object",
        "properties": {},
        "required": [],
    }
    assert plain_schema({"properties": {"a": "text"}, "required": ["a", "b", 3]}) == {
        "type": "object",
        "properties": {"a": {}},
        "required": ["a"],
    }


def test_what_is_nested_too_deep_is_a_failure_and_no_breakdown():
    deep = Reply(texts=("[" * 900 + "]" * 900,))

    with pytest.raises(ToolFailed, match="answered something that I can't read"):
        result_of(deep, "crm_find", OPTIONS, changes=False)
