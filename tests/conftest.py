"""Shared by all tests."""

import logging
from pathlib import Path

import pytest
from loguru import logger

TESTS = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def quiet_pipecat():
    """Pipecat logs every frame at debug; what it warns of goes where pytest shows it."""
    logger.remove()
    logger.add(
        lambda line: logging.getLogger("pipecat").warning(str(line).rstrip()), level="WARNING"
    )


# First, for pytest-xdist reads the groups in a hook of the same name.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share the tests out among pytest-xdist's workers, a file to one of them.

    All that drive a browser go to one, and first: they are the longest, they share the built page,
    and two browsers would take the processor from each other.
    """
    for item in items:
        group = "browser" if _drives_a_browser(item) else item.path.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: not _drives_a_browser(item))


def _drives_a_browser(item: pytest.Item) -> bool:
    return item.path.is_relative_to(TESTS / "e2e") or item.path.is_relative_to(TESTS / "console")
