"""A Redis server of the tests' own, where the program is on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class RedisServer:
    """One that keeps nothing and is reached over loopback only."""

    url: str
    process: subprocess.Popen[str]

    def hang(self) -> None:
        """From now on it takes connections and says nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def require_redis() -> str:
    """Its path. Where there is none, continuous integration fails and other runs skip."""
    found = shutil.which("redis-server")
    if found is None and os.environ.get("CI"):
        pytest.fail("Redis is missing; scripts/test installs it.")
    if found is None:
        pytest.skip("Redis is missing: apt-get install redis-server")
    return found


@contextmanager
def redis_server(folder: Path, port: int = 0) -> Generator[RedisServer]:
    port = port or _free_port()
    settings = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(
        [require_redis(), *settings], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    server = RedisServer(f"redis://127.0.0.1:{port}/0", process)
    try:
        assert process.stdout is not None
        log: list[str] = []
        for line in process.stdout:
            log.append(line)
            if "Ready to accept connections" in line:
                break
        else:
            raise AssertionError("".join(log))
        yield server
    finally:
        server.stop()
        assert process.stdout is not None
        process.stdout.close()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
