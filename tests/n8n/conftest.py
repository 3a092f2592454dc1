"""A real n8n for the tests beside this: only scripts/test-n8n collects them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.n8n.installation import Installation
from tests.n8n.instance import N8n, running_n8n
from tests.n8n.summary import OUTCOMES, Outcome

PLACE = "TEST_N8N_PLACE"
IS_THERE = PLACE in os.environ
collect_ignore_glob = [] if IS_THERE else ["test_*.py"]


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
    """Tell scripts/test-n8n what came of each test, for its summary."""
    if OUTCOMES in os.environ and (report.when == "call" or report.outcome != "passed"):
        Outcome(
            report.nodeid.rpartition("::")[2],
            report.outcome,
            report.duration,
            {name: str(value) for name, value in report.user_properties},
        ).note(Path(os.environ[OUTCOMES]))
