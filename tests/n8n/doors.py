"""The tools' other two ways in, as a client comes by them: MCP, and an ordinary webhook."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from tests.n8n.instance import Answer, N8n, envelope


class ByMcp:
    """Uses a tool through the MCP server; each call is a session of its own."""

    def __init__(self, n8n: N8n) -> None:
        self._url = f"{n8n.url}/mcp/parley-tools"
        self._headers = {"Authorization": f"Bearer {n8n.secrets.mcp}"}

    async def tools(self) -> dict[str, Any]:
        async with (
            self._http() as http,
            streamable_http_client(self._url, http_client=http) as (read, write),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return {each.name: each.input_schema for each in (await session.list_tools()).tools}

    async def __call__(self, tool: str, key: str = "", **args: str) -> dict[str, Any]:
        async with (
            self._http() as http,
            streamable_http_client(self._url, http_client=http) as (read, write),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            answer: Any = await session.call_tool(tool, {**args, "idempotency_key": key})
            (only,) = json.loads(answer.content[0].text)
            return only

    def _http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(headers=self._headers, timeout=30)


class ByWebhook:
    """Uses a tool through the plain webhook, with its header."""

    def __init__(self, n8n: N8n) -> None:
        self._n8n = n8n

    async def send(self, tool: str, key: str = "", header: str = "", **args: str) -> Answer:
        body = json.dumps(envelope(tool, args, key)).encode()
        headers = {"X-Agent-Key": header or self._n8n.secrets.header}
        return await self._n8n.post("/webhook/parley-appointments", body, headers)

    async def __call__(self, tool: str, key: str = "", **args: str) -> dict[str, Any]:
        return (await self.send(tool, key, **args)).body
