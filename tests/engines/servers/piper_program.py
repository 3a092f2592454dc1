"""The real Piper: its own HTTP server in a virtual environment of its own, with a voice that hums.

Piper is GPL, so it is never installed beside Parley. The environment is made once, in
``PARLEY_TEST_CACHE`` or the user's cache folder.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

PACKAGE = "piper-tts[http]==1.8.0"
VOICE = Path(__file__).resolve().parent.parent / "voices" / "tone.onnx"
ROOT = Path(__file__).resolve().parents[3]
INSTALL_LIMIT_S = 50


class PiperMissing(Exception):
    """Piper can't be installed here; the message says why."""


def piper_python() -> Path:
    """The Python of an environment that has Piper, made now if need be."""
    own = os.environ.get("PARLEY_TEST_CACHE") or os.environ.get("XDG_CACHE_HOME")
    cache = Path(own) if own else Path.home() / ".cache"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / "parley-tests" / f"piper-1.8.0-py{version}"
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    uv = _uv()
    if uv:
        _run([uv, "venv", "-q", "--python", sys.executable, str(folder)])
        _run([uv, "pip", "install", "-q", "--python", str(python), PACKAGE])
    else:
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "-q", PACKAGE])
    (folder / "ready").touch()
    return python


def _uv() -> str | None:
    brought = sorted((ROOT / ".cache").glob("uv-*/uv"))
    return str(brought[-1]) if brought else shutil.which("uv")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PiperMissing(f"{PACKAGE} can't be installed: {error}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PiperMissing(f"{PACKAGE} can't be installed: {last}")


class PiperProgram:
    """``async with PiperProgram(python) as server: server.url``."""

    def __init__(self, python: Path) -> None:
        self._python = python
        self._port = _free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> PiperProgram:
        self._process = await asyncio.create_subprocess_exec(
            str(self._python),
            *("-m", "piper.http_server", "-m", VOICE.stem, "--data-dir", str(VOICE.parent)),
            *("--host", "127.0.0.1", "--port", str(self._port)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._process.stderr is not None
        said: list[str] = []
        while line := await self._process.stderr.readline():
            said.append(line.decode(errors="replace"))
            if "Running on" in said[-1]:
                self._reading = asyncio.create_task(self._process.stderr.read())
                return self
        await self._process.wait()
        raise AssertionError("Piper did not start:\n" + "".join(said[-10:]))

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
