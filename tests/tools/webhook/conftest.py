"""Shared by the tests of webhooks: a service that answers as it is told, and a house."""

from collections.abc import AsyncGenerator

import pytest

from tests.tools.webhook.desk import Desk, open_desk


@pytest.fixture
async def desk() -> AsyncGenerator[Desk]:
    async with open_desk() as desk:
        yield desk
