"""A store of the test's own: in a file, in memory, and in PostgreSQL where there is one."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from parley.settings import Settings
from parley.store.opening import Store, open_store
from tests.store.postgres import new_database, programs, server

NUMBERS = itertools.count()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture(scope="session")
def postgres_server() -> Generator[str]:
    folder = programs()
    if folder is None and os.environ.get("CI"):
        pytest.fail("PostgreSQL is missing; scripts/test installs it.")
    if folder is None:
        pytest.skip("PostgreSQL is not installed here (or this is root, without setpriv).")
    with server(folder) as url:
        yield url


@pytest.fixture
async def postgres_url(postgres_server: str) -> str:
    return await new_database(postgres_server, f"parley_{next(NUMBERS)}")


@pytest.fixture(params=["file", "memory", "postgresql"])
async def store(request: pytest.FixtureRequest, settings: Settings) -> AsyncGenerator[Store]:
    url = {"file": None, "memory": "sqlite://"}.get(request.param)
    if request.param == "postgresql":
        server_url = request.getfixturevalue("postgres_server")
        url = await new_database(server_url, f"parley_{next(NUMBERS)}")
    async with open_store(settings.model_copy(update={"database_url": url})) as store:
        yield store
