"""``parley db``: bring the database up to date, or say how it stands."""

from __future__ import annotations

import argparse
import asyncio
import sys

from parley.cli.verb import OK, PROBLEMS, Verb, settings_of
from parley.core.log import setup_logging
from parley.settings import Settings
from parley.store.opening import open_database


def _upgrade(given: argparse.Namespace) -> int:
    return asyncio.run(_upgrade_schema(settings_of(given)))


async def _upgrade_schema(settings: Settings) -> int:
    setup_logging("WARNING")
    async with open_database(settings) as database:
        from parley.store.schema import upgrade

        before, after = await upgrade(database)
        done = "is up to date" if before == after else f"upgraded from {before or 'nothing'}"
        print(f"{database.place}  schema {after}, {done}")
    return OK


def _current(given: argparse.Namespace) -> int:
    return asyncio.run(_show_schema(settings_of(given)))


async def _show_schema(settings: Settings) -> int:
    setup_logging("WARNING")
    async with open_database(settings) as database:
        from parley.store.schema import current_version
        from parley.store.tables import SCHEMA_VERSION

        version = await current_version(database)
        print(f"{database.place}  schema {version or 'none'}")
    if version == SCHEMA_VERSION:
        return OK
    print(f"This Parley needs schema {SCHEMA_VERSION}: parley db upgrade.", file=sys.stderr)
    return PROBLEMS


UPGRADE_DB = Verb(("db", "upgrade"), "Give the database the tables of this version.", _upgrade)
CURRENT_DB = Verb(
    ("db", "current"), "Show where the database is and which schema it has.", _current
)
