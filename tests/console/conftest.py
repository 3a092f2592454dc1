"""The built page, a stand-in server and a real browser."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.chromium import plain_launch

ROOT = Path(__file__).parents[2]
PATIENCE_S = 15.0


@pytest.fixture(scope="session")
def built_page() -> None:
    """The page, built from the present sources."""
    done = subprocess.run(
        [sys.executable, ROOT / "web/build.py"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout


@dataclass(frozen=True)
class Server:
    """The stand-in, as a test sees it."""

    url: str

    def tell(self, **order: Any) -> dict[str, Any]:
        return self._request("POST", order)

    def report(self) -> dict[str, Any]:
        return self._request("GET")

    def start_afresh(self) -> None:
        self._request("DELETE")

    def wait_for(self, fact: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Return the report once ``fact`` is true of it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not fact(report := self.report()):
            assert time.monotonic() < deadline_s, report
            time.sleep(0.05)
        return report

    def _request(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}/stand-in",
            method=method,
            data=json.dumps(body or {}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


@pytest.fixture(scope="session")
def stand_in(built_page: None) -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.console.stand_in"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port, "the stand-in server ended"
            yield Server(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


# Playwright keeps an event loop running: beyond a module of synchronous tests it would be in the
# way of the asynchronous ones.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    launch = plain_launch()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch)
        yield browser
        browser.close()


@pytest.fixture
def server(stand_in: Server) -> Server:
    stand_in.start_afresh()
    return stand_in


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A person's browser; it allows the microphone."""
    context = browser.new_context(permissions=["microphone"])
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Iterator[Page]:
    """The call page, ready for a call. It must ask no foreign server and break no own rule."""
    page = context.new_page()
    foreign: list[str] = []
    broken: list[str] = []
    page.on("request", lambda r: None if r.url.startswith(server.url) else foreign.append(r.url))
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on(
        "console",
        lambda line: broken.append(line.text) if "Security Policy" in line.text else None,
    )
    page.goto(server.url)
    page.get_by_test_id("start").and_(page.locator(":enabled")).wait_for()
    yield page
    assert not foreign
    assert not broken
