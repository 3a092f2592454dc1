"""Parley uses the tools in n8n by each of the three ways in, as its agents' files describe them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.n8n.days import next_day
from tests.n8n.instance import N8n

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

TRIGGER = """
tools:
  - n8n:
      only: [free_times, book_appointment, move_appointment, cancel_appointment, list_appointments]
"""
MCP = """
tools:
  - mcp:
      name: n8n
      prefix: ""
      url: {url}/mcp/parley-tools
      headers: {{Authorization: "Bearer ${{TOOL_MCP_TOKEN}}"}}
      only: [free_times, book_appointment, move_appointment, cancel_appointment, list_appointments]
"""
ONE_WEBHOOK = """
  - webhook:
      name: {name}
      description: One of the appointment tools.
      url: {url}/webhook/parley-appointments
      headers: {{X-Agent-Key: "${{TOOL_HOOK_KEY}}"}}
      changes: {changes}
      parameters:
        properties: {{{properties}}}
"""
PROPERTIES = {
    "free_times": ("day",),
    "book_appointment": ("name", "day", "time"),
    "move_appointment": ("name", "new_day", "new_time"),
    "cancel_appointment": ("name",),
}


# n8n's MCP server calls every argument required; what isn't known is empty.
EMPTY_BY_MCP = {
    "book_appointment": ("time_zone",),
    "move_appointment": ("day", "time", "time_zone"),
    "cancel_appointment": ("day", "time"),
}


class Agent:
    """``parley tools call`` for one agent."""

    def __init__(self, n8n: N8n, way: str, folder: Path) -> None:
        self._folder = folder
        self._empty = EMPTY_BY_MCP if way == "mcp" else {}
        self._environment = {
            **os.environ,
            "PARLEY_DATA_DIR": str(folder),
            "PARLEY_AGENTS_DIR": str(folder / "agents"),
            "PARLEY_AGENT": way,
            "PARLEY_TOOL_SECRET": n8n.secrets.signing,
            "N8N_BASE_URL": n8n.url,
            "N8N_API_KEY": n8n.api_key,
            "TOOL_MCP_TOKEN": n8n.secrets.mcp,
            "TOOL_HOOK_KEY": n8n.secrets.header,
        }

    async def use(self, tool: str, **given: str) -> dict[str, Any]:
        """What the run came to."""
        words = [f"{name}={value}" for name, value in given.items()]
        words += [f"{name}=" for name in self._empty.get(tool, ())]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "parley", "tools", "call", "--json", tool, *words),
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, wrong = await process.communicate()
        assert said, wrong.decode()
        return json.loads(said.splitlines()[-1])


def written(n8n: N8n, way: str) -> str:
    """The file of an agent that takes this way."""
    if way == "trigger":
        return TRIGGER
    if way == "mcp":
        return MCP.format(url=n8n.url)
    tools = [
        ONE_WEBHOOK.format(
            name=name,
            url=n8n.url,
            changes=str(name != "free_times").lower(),
            properties=", ".join(f"{each}: {{type: string}}" for each in names),
        )
        for name, names in PROPERTIES.items()
    ]
    return "tools:" + "".join(tools)


@pytest.mark.parametrize("way", ["trigger", "mcp", "webhook"])
async def test_parley_books_is_refused_moves_and_cancels(
    n8n: N8n, tmp_path: Path, way: str, record_property: pytest.RecordProperty
) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / f"{way}.yaml").write_text(written(n8n, way))
    agent, day = Agent(n8n, way, tmp_path), next_day()
    name = f"Uma {way}"

    free = await agent.use("free_times", day=day)
    book = await agent.use("book_appointment", name=name, day=day, time="10:00")
    other = await agent.use("book_appointment", name="Val", day=day, time="10:00")
    move = await agent.use("move_appointment", name=name, new_day=day, new_time="11:00")
    cancel = await agent.use("cancel_appointment", name=name)

    record_property("free_times ms", round(free["after_ms"]))
    assert "10:00" in free["answer"]["times"]
    assert (book["state"], book["answer"]["status"]) == ("answered", "booked")
    assert other["state"] == "failed" and "taken" in other["error"]
    assert (move["answer"]["status"], move["answer"]["time"]) == ("moved", "11:00")
    assert cancel["answer"]["status"] == "cancelled"
    rows = [row["state"] for row in await n8n.rows() if row["day"] == day]
    assert sorted(rows) == ["cancelled", "moved"]
