"""Shared by the RustPBX tests: a caller's words, made once."""

from __future__ import annotations

import pytest

from tests.caller_voice import recorded


@pytest.fixture(scope="session")
def words() -> bytes:
    """Somebody says something short: s16le at 16 kHz."""
    return recorded("what time is it")
