"""Shared by all tests."""

import logging

import pytest
from loguru import logger


@pytest.fixture(scope="session", autouse=True)
def quiet_pipecat():
    """Pipecat logs every frame at debug; what it warns of goes where pytest shows it."""
    logger.remove()
    logger.add(
        lambda line: logging.getLogger("pipecat").warning(str(line).rstrip()), level="WARNING"
    )
