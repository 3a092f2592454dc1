"""A server under test: started on a free port, tied to a core, watched and always stopped."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import httpx

POLL_PAUSE_S = 0.1
START_LIMIT_S = 90.0
STOP_LIMIT_S = 15.0
_PR_SET_PDEATHSIG = 1
# Loaded here because a child between fork and exec must not load anything.
_LIBC = ctypes.CDLL(None)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """The server under test did not start, or died; the message ends with its last lines."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process. Leaving the context stops it, whatever happened inside.

    ``{port}`` in ``command`` becomes the port. With ``core`` it may run on that core only.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        core: int | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [part.replace("{port}", str(self.port)) for part in command]
        self._environment = dict(environment or {})
        self._core = core
        self._process: asyncio.subprocess.Process | None = None
        self._log: IO[bytes] | None = None

    async def __aenter__(self) -> Server:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __aexit__
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._log,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self._environment},
            cwd=Path(__file__).parent.parent,
            preexec_fn=_die_with_parent,
        )
        if self._core is not None:
            os.sched_setaffinity(self._process.pid, {self._core})
        try:
            await self._ready()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def cpu_s(self) -> float:
        """Processor time that the process has used so far, all its threads together."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def memory_mb(self) -> float:
        """Resident memory of the process."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise ServerFailed(self._last_lines())

    async def _ready(self) -> None:
        end_s = time.monotonic() + START_LIMIT_S
        async with httpx.AsyncClient(base_url=self.url) as http:
            while time.monotonic() < end_s:
                assert self._process is not None
                if self._process.returncode is not None:
                    raise ServerFailed(f"The server ended while starting:\n{self._last_lines()}")
                try:
                    if (await http.get("/health/ready")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                # A port that is not open yet gives nothing to wait on but the clock.
                await asyncio.sleep(POLL_PAUSE_S)
        raise ServerFailed(f"Not ready within {START_LIMIT_S:.0f} s:\n{self._last_lines()}")

    async def _stop(self) -> None:
        process = self._process
        assert process is not None
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_LIMIT_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._log:
            self._log.close()

    def _last_lines(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        return "\n".join(self._log.read().decode(errors="replace").splitlines()[-20:])


def _die_with_parent() -> None:
    """Run in the child: even a killed bench leaves no server behind (Linux)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def python_module(name: str, *arguments: str) -> list[str]:
    """The command that runs one of our own modules on a free port."""
    return [sys.executable, "-m", name, "--port", "{port}", *arguments]
