"""A small OpenSIPS, the gateway at it, and somebody who calls."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from parley.session.turns import Listening
from tests.transports.opensips.board import Board, Caller, board_at, sound_caller
from tests.transports.opensips.fake_opensips import FakeOpenSips, fake_opensips


@pytest.fixture
async def opensips() -> AsyncIterator[FakeOpenSips]:
    async with fake_opensips() as opensips:
        yield opensips


@pytest.fixture
async def board(opensips: FakeOpenSips, listening: Listening) -> AsyncIterator[Board]:
    async with board_at(opensips, listening) as board:
        await board.subscribed()
        yield board


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with sound_caller() as caller:
        yield caller
