"""A Parley that is kept offline, in a network namespace that has no way out; prints what it saw.

Run as ``unshare --user --map-root-user --net python -m tests.offline_house FOLDER``. The kernel
counts each packet, connection and DNS query that it had no route for, whoever tried it and however
quietly it failed.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
import struct
import sys
from pathlib import Path
from typing import Any

from tests.e2e.server import running_server

SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
FAR = {
    "OPENAI_API_KEY": "sk-far",
    "DEEPGRAM_API_KEY": "far",
    "OLLAMA_BASE_URL": "http://ollama.example.com:11434",
    "SPEACHES_BASE_URL": "http://203.0.113.7:8000,https://8.8.8.8",
}


def bring_up_loopback() -> None:
    with socket.socket() as any_socket:
        flags = struct.pack("16sH14s", b"lo", IFF_UP | IFF_RUNNING, b"")
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, flags)


def attempts() -> int:
    """How often anything in this namespace wanted to go where no route leads."""
    lines = Path("/proc/net/snmp").read_text().splitlines()
    names, counts = (line.split() for line in lines if line.startswith("Ip:"))
    newer = [line.split() for line in Path("/proc/net/snmp6").read_text().splitlines()]
    six = next(int(count) for name, count in newer if name == "Ip6OutNoRoutes")
    return int(counts[names.index("OutNoRoutes")]) + six


def knock() -> None:
    """What must be counted, lest the count prove nothing."""
    for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family) as caller:
            caller.connect_ex((address, 443))


async def run(*arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "parley",
        *arguments,
        "--offline",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return {"code": process.returncode, "out": out.decode(), "err": err.decode()}


async def main(folder: Path) -> dict[str, Any]:
    bring_up_loopback()
    before = attempts()
    knock()
    knocked = attempts()
    async with running_server(folder, FAR, "--offline") as server:
        health = await asyncio.to_thread(server.get, "/health")
        agents = await asyncio.to_thread(server.get, "/api/agents")
    served = attempts()
    engines = await run("engines")
    models = await run("models", "list")
    pull = await run("models", "pull", "whisper:tiny")
    return {
        "counted_knocks": knocked - before,
        "attempts_serving": served - knocked,
        "attempts_of_commands": attempts() - served,
        "health": health,
        "engines_serving": agents["agents"][0]["engines"],
        "log": server.log,
        "engines": engines,
        "models": models,
        "pull": pull,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
