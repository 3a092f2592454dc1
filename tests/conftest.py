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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    # Not above: one test is run without it.
    from tests.sharing import Sharing

    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in the order in which they are shared out among pytest-xdist's workers.

    All that drive a browser go to one, and first: they share the built page, and two browsers would
    take the processor from each other. What works the processor comes last: the others talk and
    listen, and must be heard in time. Of it the longest comes first, lest one worker ends alone.
    """
    items.sort(
        key=lambda item: (
            not _drives_a_browser(item),
            _works_the_processor(item),
            not _is_long(item),
        )
    )


def _is_long(item: pytest.Item) -> bool:
    """It starts whole servers one after the other, or installs."""
    return item.path.relative_to(TESTS).as_posix() in (
        "deploy/test_pipecat_server.py",
        "api/test_schemathesis.py",
        "test_startup.py",
        "api/test_abuse.py",
        "test_offline.py",
    )


def _drives_a_browser(item: pytest.Item) -> bool:
    return item.path.is_relative_to(TESTS / "e2e") or item.path.is_relative_to(TESTS / "console")


def _works_the_processor(item: pytest.Item) -> bool:
    """It compiles, installs, parses all files, or asks thousands of questions."""
    within = item.path.relative_to(TESTS).parts
    return len(within) == 1 or within[0] in ("api", "bench", "deploy", "integrations", "scripts")
