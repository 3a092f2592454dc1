"""Tests with a real OpenSIPS, once for each that TEST_OPENSIPS names: scripts/test-opensips."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.opensips_real.builds import WITHOUT, Build, named_builds
from tests.opensips_real.endpoint import Endpoint, running_endpoint

_outcomes: list[tuple[str, str, float, str]] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "build" in metafunc.fixturenames:
        builds: list[Any] = [pytest.param(build, id=build.version) for build in named_builds()]
        absent = pytest.param(None, id="absent", marks=pytest.mark.skip(reason=WITHOUT))
        metafunc.parametrize("build", builds or [absent], scope="session")


# The system gives none of these to others between our look and our use.
PORTS = range(12_000, 29_000)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives UDP ports, each once."""
    ports = filter(_is_free, random.sample(PORTS, 200))
    return lambda: next(ports)


@pytest.fixture
async def endpoint(
    build: Build, tmp_path: Path, free_port: Callable[[], int]
) -> AsyncIterator[Endpoint]:
    """endpoint.cfg, running."""
    ports = free_port(), free_port()
    async with running_endpoint(build, tmp_path / "endpoint", ports) as endpoint:
        yield endpoint


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if "opensips_real" in report.nodeid and (report.when == "call" or report.outcome == "failed"):
        facts = ", ".join(f"{name} {value}" for name, value in report.user_properties)
        _outcomes.append((report.nodeid, report.outcome, report.duration, facts))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not named_builds():
        return
    terminalreporter.section("with a real OpenSIPS")
    for nodeid, outcome, duration_s, facts in _outcomes:
        name, _, version = nodeid.rpartition("::")[2].removeprefix("test_").partition("[")
        said = f"{outcome:7} {duration_s:6.1f} s  {version.rstrip(']'):12} {name.replace('_', ' ')}"
        terminalreporter.write_line(f"{said}  [{facts}]" if facts else said)
