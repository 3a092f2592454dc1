"""Connecting to an MCP server holds up nothing else that the server does."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.tools.mcp.shop import Shop
from tests.tools.mcp.test_servers import desk

pytest.importorskip("mcp", reason="the extra mcp is not installed")

import httpx2


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
async def test_certificates_are_loaded_beside_the_event_loop(
    transport: str, monkeypatch: pytest.MonkeyPatch
):
    load, loaded_by = httpx2.create_ssl_context, list[threading.Thread]()

    def note(*options: Any, **named: Any) -> Any:
        loaded_by.append(threading.current_thread())
        return load(*options, **named)

    monkeypatch.setattr(httpx2, "create_ssl_context", note)
    async with (
        Shop().serve(sse=transport == "sse") as url,
        desk(url=url, transport=transport) as agent,
    ):
        await agent.settled()

    assert loaded_by
    assert threading.main_thread() not in loaded_by
