"""A real n8n for the tests beside this: only scripts/test-n8n collects them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.n8n.installation import Installation
from tests.n8n.instance import N8n, running_n8n

PLACE = "TEST_N8N_PLACE"
IS_THERE = PLACE in os.environ
collect_ignore_glob = [] if IS_THERE else ["test_*.py"]

_outcomes: list[tuple[str, str, float, str]] = []


@pytest.fixture(scope="session")
def installation() -> Installation:
    return Installation(Path(os.environ[PLACE]))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def n8n(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[N8n]:
    """One n8n for all tests that don't hurt it; each keeps to days of its own."""
    async with running_n8n(installation, tmp_path_factory.mktemp("n8n")) as n8n:
        yield n8n


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if IS_THERE and (report.when == "call" or report.outcome != "passed"):
        facts = ", ".join(f"{name} {value}" for name, value in report.user_properties)
        _outcomes.append((report.nodeid, report.outcome, report.duration, facts))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not IS_THERE:
        return
    terminalreporter.section("with a real n8n")
    for nodeid, outcome, duration_s, facts in _outcomes:
        name = nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        line = f"{outcome:7} {duration_s:6.1f} s  {name}"
        terminalreporter.write_line(f"{line}  [{facts}]" if facts else line)
