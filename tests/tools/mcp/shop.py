"""A real MCP server for tests, made with the official SDK. As a program it speaks stdio."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, Image, MCPServer
from pydantic import BaseModel

DOT = bytes.fromhex("89504e470d0a1a0a")


class Customer(BaseModel):
    """Who books."""

    name: str
    phone: str = ""


@dataclass
class Shop:
    """What the server has, and what was done with it."""

    bookings: list[dict[str, Any]] = field(default_factory=list)
    running: MCPServer[Any] | None = None
    headers: list[dict[str, str]] = field(default_factory=list)
    floods: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    def server(self) -> MCPServer:
        server = self.running = MCPServer("shop", log_level="ERROR")
        for tool in (self.free_times, self.book, self.picture, self.as_n8n, self.n8n_error):
            server.tool()(tool)
        server.tool()(self.close_down)
        for tool in (self.broken, self.huge, self.slow, self.envelope, self.refusal, self.secret):
            server.tool()(tool)
        server.tool()(self.secret_error)
        server.tool()(self.flood)
        return server

    async def free_times(self, day: str) -> dict[str, Any]:
        """Free times of a day."""
        return {"day": day, "times": ["09:00", "10:30"]}

    async def book(self, customer: Customer, time: str, idempotency_key: str) -> dict[str, Any]:
        """Books a time."""
        self.bookings.append({"who": customer.name, "time": time, "key": idempotency_key})
        return {"booked": True}

    async def picture(self) -> Image:
        """A picture."""
        return Image(data=DOT, format="png")

    async def as_n8n(self) -> str:
        """What n8n makes of one item."""
        return json.dumps([{"status": "open"}])

    async def n8n_error(self) -> str:
        """What n8n makes of a failed workflow."""
        return 'There was an error: "calendar backend refused"'

    async def broken(self) -> str:
        """Breaks."""
        raise ValueError("the diary is locked")

    async def huge(self) -> str:
        """Too much."""
        return json.dumps({f"field {n}": "word " * 50 for n in range(2000)})

    async def flood(self, letters: int) -> str:
        """As much as is asked for."""
        self.floods += 1
        return "x " * (letters // 2)

    async def slow(self, ctx: Context[Any, Any]) -> str:
        """Never ends, and says so."""
        await ctx.report_progress(1, 3, "I have found the file.")
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        return ""

    async def close_down(self, ctx: Context[Any, Any]) -> str:
        """Takes the tool envelope away, and tells."""
        assert self.running is not None
        self.running.remove_tool("envelope")
        await ctx.session.send_tool_list_changed()
        return "closed"

    async def envelope(self) -> dict[str, Any]:
        """Answers as Parley's own tools do."""
        return {"ok": True, "result": {"price": 12}, "say": "That is twelve euros."}

    async def refusal(self) -> dict[str, Any]:
        """Refuses as Parley's own tools do."""
        return {"ok": False, "error": {"code": "taken", "message": "That time is taken."}}

    async def secret(self) -> str:
        """What the environment has for it."""
        return os.environ.get("SHOP_KEY", "nothing")

    async def secret_error(self) -> str:
        """Fails, and blames what the environment has for it."""
        return f"There was an error: {os.environ.get('SHOP_KEY', 'nothing')} is no good"

    def noting(self, app: Any) -> Any:
        """The same application; requests' headers are kept."""

        async def noted(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                self.headers.append({k.decode(): v.decode() for k, v in scope["headers"]})
            await app(scope, receive, send)

        return noted

    @asynccontextmanager
    async def serve(
        self, *, sse: bool = False, port: int = 0, as_json: bool = False
    ) -> AsyncIterator[str]:
        """Over HTTP, while the block lasts; gives the URL."""
        server = self.server()
        app = server.sse_app() if sse else server.streamable_http_app(json_response=as_json)
        async with serving(self.noting(app), port=port) as address:
            yield f"{address}/sse" if sse else f"{address}/mcp"


class _Server(uvicorn.Server):
    """Tells when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def serving(app: Any, *, port: int = 0) -> AsyncIterator[str]:
    config = uvicorn.Config(
        app, port=port, log_level="warning", timeout_graceful_shutdown=1, lifespan="on"
    )
    server = _Server(config)
    socket = config.bind_socket()
    running = asyncio.create_task(server.serve([socket]))
    try:
        await server.up.wait()
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        socket.close()


if __name__ == "__main__":
    Shop().server().run("stdio")
