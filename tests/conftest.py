"""Shared by all tests."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from loguru import logger

if TYPE_CHECKING:
    from parley.session.turns import Listening
    from tests.builtin_house import BuiltinHouse

TESTS = Path(__file__).parent

# How long an example takes says how busy the machine is, not whether the law holds.
hypothesis_settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def quiet_pipecat():
    """Pipecat logs every frame at debug; what it warns of goes where pytest shows it."""
    logger.remove()
    logger.add(
        lambda line: logging.getLogger("pipecat").warning(str(line).rstrip()), level="WARNING"
    )


@pytest.fixture(scope="session", autouse=True)
def loggers_follow_the_set_up() -> Iterator[None]:
    """A cached logger keeps the set-up that it was first used under: in a process in which tests
    set the log up anew, those that read it would see nothing, depending on their order."""
    configure = structlog.configure

    def uncached(**wanted: Any) -> None:
        configure(**{**wanted, "cache_logger_on_first_use": False})

    structlog.configure = uncached
    yield
    structlog.configure = configure


@pytest.fixture(scope="session")
def listening() -> Iterator[Listening]:
    """The models that listen, loaded once."""
    # Not above: most tests need neither them nor Pipecat.
    from parley.engines.turn.smart_turn import SmartTurn
    from parley.engines.vad.silero import SileroVad
    from parley.session.turns import Listening

    models = Listening(SileroVad(), SmartTurn())
    models.warm_up()
    yield models
    models.close()


@pytest.fixture
async def builtin(
    listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BuiltinHouse]:
    """A house with the engines that ship."""
    from tests.builtin_house import builtin_house

    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    async with builtin_house(tmp_path, listening) as house:
        yield house


# First, for pytest-xdist reads the groups in a hook of the same name.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share the tests out among pytest-xdist's workers, a file to one of them.

    All that drive a browser go to one, and first: they share the built page, and two browsers would
    take the processor from each other. What works the processor comes last: the others talk and
    listen, and must be heard in time.
    """
    for item in items:
        group = "browser" if _drives_a_browser(item) else item.path.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (not _drives_a_browser(item), _works_the_processor(item)))


def _drives_a_browser(item: pytest.Item) -> bool:
    return item.path.is_relative_to(TESTS / "e2e") or item.path.is_relative_to(TESTS / "console")


def _works_the_processor(item: pytest.Item) -> bool:
    """It compiles, installs, parses all files, or asks thousands of questions."""
    within = item.path.relative_to(TESTS).parts
    return len(within) == 1 or within[0] in ("api", "bench", "deploy", "integrations", "scripts")
