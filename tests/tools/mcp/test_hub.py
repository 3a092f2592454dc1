"""What a start tells of MCP servers that are not there in time."""

from __future__ import annotations

from structlog.testing import capture_logs

from parley.tools.mcp.facts import McpServer
from parley.tools.mcp.hub import McpHub
from parley.tools.webhook.destinations import Destinations


async def test_the_log_names_the_server_that_is_waited_for_in_vain() -> None:
    hub = McpHub()
    hub.connection(McpServer("mute", "stdio", command="sleep", args=("60",)), Destinations())

    with capture_logs() as logs:
        await hub.settled(0)
    await hub.close()

    assert [each["servers"] for each in logs if each["event"] == "mcp_slow"] == [["mute"]]
