"""One process of n8n, started and stopped by a test."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.n8n.installation import Installation

START_LIMIT_S = 120
STOP_LIMIT_S = 60


class Process:
    """``verb`` is what n8n is told to be: start, worker or webhook. At ``url`` it says that it is
    ready; what it prints goes to ``log``."""

    def __init__(
        self,
        installation: Installation,
        verb: str,
        environment: Mapping[str, str],
        log: Path,
        url: str,
    ) -> None:
        self._installation = installation
        self._verb = verb
        self._environment = dict(environment)
        self._url = url
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Return when it is ready."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._installation.node,
                self._installation.n8n,
                self._verb,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Its task runner is a child of its own.
                start_new_session=True,
            )
        async with asyncio.timeout(START_LIMIT_S), httpx.AsyncClient() as http:
            while not await self._is_ready(http):
                if self._process.returncode is not None:
                    raise RuntimeError(self.log.read_text()[-2000:])
                await asyncio.sleep(0.5)

    async def stop(self, how: int = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        os.killpg(process.pid, how)
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await process.wait()
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _is_ready(self, http: httpx.AsyncClient) -> bool:
        try:
            return (await http.get(f"{self._url}/healthz/readiness")).status_code == 200
        except httpx.HTTPError:
            return False
