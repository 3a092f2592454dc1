"""A Parley server in a process of its own, as its user would start it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_LIMIT_S = 120
_LISTENING = re.compile(r"http://localhost:(\d+)")


@dataclass
class Server:
    """A running server. ``log`` has its lines so far."""

    process: asyncio.subprocess.Process
    url: str = ""
    log: list[str] = field(default_factory=list[str])
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.load(answer)

    async def logged(self, *parts: str) -> str:
        """Wait for a line of the log that has all the parts."""
        async with self.grown:
            while True:
                for line in self.log:
                    if all(part in line for part in parts):
                        return line
                await self.grown.wait()

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


async def begin_server(
    data_dir: Path, environment: Mapping[str, str] | None = None, *arguments: str
) -> asyncio.subprocess.Process:
    """``parley serve`` from its first moment on; whoever calls this ends it."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "parley",
        "serve",
        "--port",
        "0",
        *arguments,
        env={
            **os.environ,
            "PARLEY_DRAIN_S": "1",
            "PARLEY_DATA_DIR": str(data_dir),
            **(environment or {}),
        },
        cwd=data_dir,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def running_server(
    data_dir: Path, environment: Mapping[str, str] | None = None, *arguments: str
) -> AsyncIterator[Server]:
    """Start ``parley serve`` on a free port and stop it afterwards."""
    process = await begin_server(data_dir, environment, *arguments)
    server = Server(process)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    reading = asyncio.create_task(_read_log(server, ready))
    try:
        async with asyncio.timeout(START_LIMIT_S):
            server.url = await ready
        yield server
    finally:
        try:
            async with asyncio.timeout(45):
                await server.stop()
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading


async def _read_log(server: Server, ready: asyncio.Future[str]) -> None:
    assert server.process.stderr is not None
    async for raw in server.process.stderr:
        line = raw.decode(errors="replace").rstrip()
        async with server.grown:
            server.log.append(line)
            server.grown.notify_all()
        found = _LISTENING.search(line)
        if found and not ready.done():
            ready.set_result(f"http://localhost:{found[1]}")
    if not ready.done():
        ready.set_exception(RuntimeError("The server ended:\n" + "\n".join(server.log)))
