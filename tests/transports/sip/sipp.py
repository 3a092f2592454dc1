"""sipp, a telephone tester of its own: where it is, how it is run, and what happens without it."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

SCENARIOS = Path(__file__).parent / "scenarios"
LIMIT_S = 20


def require(program: str, package: str) -> str:
    """Its path. Where there is none, continuous integration fails and other runs skip."""
    path = shutil.which(program)
    if path is not None:
        return path
    reason = f"{program} isn't installed (apt-get install {package})"
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(reason)
    pytest.skip(reason)


class Sipp:
    """Runs scenarios against one port; a scenario that isn't one of ours is built into sipp.
    ``host`` is its own address and ours."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self._host = f"[{host}]" if ":" in host else host
        self._program = require("sipp", "sip-tester")
        self._folder = folder

    async def call(self, port: int, scenario: str, *options: str) -> None:
        """Call ``port`` and fail with what sipp says went wrong."""
        calling = await self.start(f"{self._host}:{port}", scenario, *options)
        try:
            code = await calling.wait()
        finally:
            if calling.returncode is None:
                calling.kill()
                await calling.wait()

        assert code == 0, self._errors()

    async def start(self, address: str, scenario: str, *options: str) -> asyncio.subprocess.Process:
        """Begin a scenario: one that calls ``address``, or waits to be called where that is ""."""
        file = SCENARIOS / f"{scenario}.xml"
        chosen = ["-sf", str(file)] if file.exists() else ["-sn", scenario]
        return await asyncio.create_subprocess_exec(
            self._program,
            *chosen,
            *([address] if address else []),
            *("-s", "demo", "-i", self._host, "-mi", self._host, "-nostdin", "-trace_err"),
            *("-timeout", f"{LIMIT_S}s", "-timeout_error", "-m", "1"),
            *options,
            cwd=self._folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    def _errors(self) -> str:
        files = sorted(self._folder.glob("*_errors.log"))
        return "\n".join(file.read_text(errors="replace")[:3000] for file in files)
