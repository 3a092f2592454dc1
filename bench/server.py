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
from dataclasses import dataclass
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

    ``{port}`` in ``command`` becomes the port. With ``core`` it may run on that core only. It has
    started when ``ready_path`` answers 200; ``start_s`` is how long that took.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        core: int | None = None,
        ready_path: str = "/health/ready",
        poll_pause_s: float = POLL_PAUSE_S,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [part.replace("{port}", str(self.port)) for part in command]
        self._environment = dict(environment or {})
        self._core = core
        self._ready_path = ready_path
        self._poll_pause_s = poll_pause_s
        self._started_s = 0.0
        self.start_s = 0.0
        self._process: asyncio.subprocess.Process | None = None
        self._log: IO[bytes] | None = None

    async def __aenter__(self) -> Server:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __aexit__
        self._started_s = time.monotonic()
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
        return _times_of(self.pid).own_s

    def family_cpu_s(self) -> float:
        """The same with its children, those that have ended too, and theirs."""
        times = [_times_of(pid) for pid in _family(self.pid)]
        return sum(each.own_s + each.children_s for each in times)

    def memory_mb(self) -> float:
        """Resident memory of the process."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise ServerFailed(self._last_lines())

    async def _ready(self) -> None:
        end_s = self._started_s + START_LIMIT_S
        async with httpx.AsyncClient(base_url=self.url) as http:
            while time.monotonic() < end_s:
                assert self._process is not None
                if self._process.returncode is not None:
                    raise ServerFailed(f"The server ended while starting:\n{self._last_lines()}")
                try:
                    if (await http.get(self._ready_path)).status_code == 200:
                        self.start_s = time.monotonic() - self._started_s
                        return
                except httpx.TransportError:
                    pass
                # A port that is not open yet gives nothing to wait on but the clock.
                await asyncio.sleep(self._poll_pause_s)
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


@dataclass(frozen=True)
class _Times:
    """Processor time of a process, and of those of its children that have ended."""

    own_s: float
    children_s: float


def _times_of(pid: int) -> _Times:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = (int(field) for field in fields[11:15])
    return _Times((user + system) / _TICKS_PER_S, (children_user + children_system) / _TICKS_PER_S)


def _family(pid: int) -> list[int]:
    """The process, its children, and theirs, as far as they live."""
    children = [
        child for thread in Path(f"/proc/{pid}/task").iterdir() for child in _children_of(thread)
    ]
    return [pid, *(each for child in children for each in _family(child))]


def _children_of(thread: Path) -> list[int]:
    try:
        return [int(child) for child in (thread / "children").read_text().split()]
    except FileNotFoundError:
        # It has just ended; its children are another thread's now.
        return []


def _die_with_parent() -> None:
    """Run in the child: even a killed bench leaves no server behind (Linux)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def python_module(name: str, *arguments: str) -> list[str]:
    """The command that runs one of our own modules on a free port."""
    return [sys.executable, "-m", name, "--port", "{port}", *arguments]
