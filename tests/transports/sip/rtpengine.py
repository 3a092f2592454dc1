"""rtpengine as the relay of a proxy's media, without its kernel module."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.transports.sip.sipp import require

PORTS = (35_000, 35_200)
# Its control protocol: a cookie, then a bencoded dictionary (rtpengine's NG protocol).
PING, PONG = b"1_2 d7:command4:pinge", b"1_2 d6:result4:ponge"


@asynccontextmanager
async def rtpengine(folder: Path, control_port: int) -> AsyncIterator[None]:
    program = require("rtpengine", "rtpengine-daemon")
    with (folder / "rtpengine.log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            program,
            *("--config-file=none", "--table=-1", "--foreground", "--log-stderr"),
            *("--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{control_port}"),
            *(f"--port-min={PORTS[0]}", f"--port-max={PORTS[1]}", "--num-threads=1"),
            stdout=log,
            stderr=log,
        )
    try:
        await _answers(control_port, folder, running)
        yield
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


async def _answers(port: int, folder: Path, running: asyncio.subprocess.Process) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect(("127.0.0.1", port))
        async with asyncio.timeout(15):
            while True:
                assert running.returncode is None, (folder / "rtpengine.log").read_text()
                # Refused while nobody listens yet.
                with suppress(ConnectionRefusedError, TimeoutError):
                    await loop.sock_sendall(asking, PING)
                    async with asyncio.timeout(0.2):
                        assert await loop.sock_recv(asking, 100) == PONG
                        return
