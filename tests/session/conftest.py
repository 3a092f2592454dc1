"""Shared by the session's tests: the listening models, loaded once."""

from collections.abc import Iterator

import pytest

from parley.engines.turn.smart_turn import SmartTurn
from parley.engines.vad.silero import SileroVad
from parley.session.turns import Listening
from tests.session.fakes import FakeHouse


@pytest.fixture(scope="session")
def listening() -> Iterator[Listening]:
    models = Listening(SileroVad(), SmartTurn())
    models.warm_up()
    yield models
    models.close()


@pytest.fixture
def house(listening: Listening) -> FakeHouse:
    return FakeHouse(listening)
