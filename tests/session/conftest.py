"""Shared by the session's tests: a house with fakes in it."""

import pytest

from parley.session.turns import Listening
from tests.session.fakes import FakeHouse


@pytest.fixture
def house(listening: Listening) -> FakeHouse:
    return FakeHouse(listening)
