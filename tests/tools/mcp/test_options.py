"""What may be said of an MCP server in an agent's file."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from parley.core.errors import BadRequest
from parley.tools.catalog import ToolCatalog
from parley.tools.mcp.options import McpOptions

URL = "https://mcp.example.org/mcp"
GOOD = {"name": "crm", "url": URL, "only": ["find_customer"]}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"url": ""}, "takes a url, or a command"),
        ({"command": "crm-server"}, "takes a url, or a command"),
        ({"url": "ftp://example.org"}, "not a URL that starts with"),
        ({"url": "https://ann:pw@example.org/mcp"}, "may not hold a password"),
        ({"only": []}, "at least 1 item"),
        ({"name": "my crm"}, "takes up to 31 letters"),
        ({"prefix": "my crm"}, "takes letters, digits"),
        ({"args": ["-v"]}, "args and env are for a command"),
        ({"transport": "stdio"}, "does not fit"),
        ({"headers": {"Authorization": "Bearer abc"}}, "looks like a secret"),
        ({"headers": {"X-Key": "${HOME}"}}, "names that start with TOOL_"),
        ({"headers": {"Bad Header": "x"}}, "is no header"),
        ({"tools": {"delete_all": {"confirms": True}}}, "is not listed in only"),
        ({"tools": {"find_customer": {"fillers": "Hm."}}}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], says: str):
    with pytest.raises(ValidationError) as refused:
        McpOptions.model_validate({**GOOD, **changes})

    assert says in str(refused.value)


def test_the_way_follows_from_where_the_server_is():
    by_url = McpOptions.model_validate(GOOD)
    program = McpOptions.model_validate({"name": "crm", "command": "crm", "only": ["*"]})
    old = McpOptions.model_validate({**GOOD, "transport": "sse"})

    assert (by_url.way, program.way, old.way) == ("streamable_http", "stdio", "sse")


@pytest.mark.parametrize(
    ("prefix", "tool", "name"),
    [
        (None, "find_customer", "crm_find_customer"),
        ("", "find_customer", "find_customer"),
        ("x-", "find.customer now", "x-find_customer_now"),
        (None, "f" * 90, "crm_" + "f" * 60),
    ],
)
def test_the_model_gets_names_that_it_can_use(prefix: str | None, tool: str, name: str):
    options = McpOptions.model_validate({**GOOD, "prefix": prefix})

    assert options.name_of(tool) == name


def test_a_tenants_agent_starts_no_program():
    wish = {"mcp": {"name": "crm", "command": "rm", "args": ["-rf", "/"], "only": ["*"]}}

    with pytest.raises(BadRequest, match="can't start a program"):
        ToolCatalog().tools_for([wish], owner="acme")


def test_a_file_is_checked_without_a_server():
    assert ToolCatalog().tools_for([{"mcp": GOOD}]) == []
