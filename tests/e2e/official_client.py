"""The page with Pipecat's own client: built when needed, given to a browser beside our server."""

from __future__ import annotations

import mimetypes
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "official_client"
WHERE = "/official/"
BUILD_LIMIT_S = 300
# The client told a name so often with data that has the text.
WAS_TOLD = """([name, text, count]) => log.filter((line) => line.event === name
    && JSON.stringify(line.data).includes(text)).length >= count"""


def built_client() -> Path:
    """The folder with the built page. Its packages come from the npm registry, once per lock file:
    without a network continuous integration fails and other runs skip."""
    command = [sys.executable, ROOT / "web/build.py", FOLDER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_LIMIT_S)
    if done.returncode:
        lacks_network = "npm ci failed" in done.stdout
        if lacks_network and not os.environ.get("CI"):
            pytest.skip(f"Pipecat's client can't be fetched: {done.stdout.splitlines()[-1]}")
        pytest.fail(f"Pipecat's client was not built:\n{done.stdout}{done.stderr}")
    return FOLDER / "dist"


@dataclass(frozen=True)
class OfficialClient:
    """The page, open. Every name that Pipecat's client tells and all that it was told with it."""

    page: Page

    async def connect(self, agent: str) -> None:
        """Call, and return when the bot is ready."""
        await self.page.evaluate("agent => connect({ agent })", agent)

    async def told(self, name: str) -> list[Any]:
        return await self.page.evaluate(
            "name => log.filter(line => line.event === name).map(line => line.data)", name
        )

    async def wait_for(
        self, name: str, text: str = "", *, count: int = 1, timeout_s: float = 60
    ) -> None:
        """Return when ``name`` was told so often with data that has the text."""
        await self.page.wait_for_function(
            WAS_TOLD,
            arg=[name, text, count],
            timeout=timeout_s * 1000,
        )


async def open_client(page: Page, server_url: str, built: Path) -> OfficialClient:
    """Open the page as if the server itself had it: a page of another origin would be refused."""
    await page.route(f"**{WHERE}**", partial(_answer, built))
    await page.goto(f"{server_url}{WHERE}")
    await page.wait_for_function("() => typeof window.connect === 'function'")
    return OfficialClient(page)


async def _answer(folder: Path, route: Route) -> None:
    name = route.request.url.partition(WHERE)[2] or "index.html"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    await route.fulfill(body=(folder / name).read_bytes(), content_type=kind)


def foreign_requests(urls: Sequence[str], server_url: str) -> list[str]:
    """Those that left this machine."""
    ours = (server_url, "data:", "blob:")
    return [url for url in urls if not url.startswith(ours)]
