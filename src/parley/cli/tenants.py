"""``parley tenants``: list them with what they used, set their quotas, show their secrets."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from parley.cli.verb import OK, Argument, Verb, settings_of
from parley.core.errors import BadRequest
from parley.core.log import setup_logging
from parley.settings import Settings
from parley.store.opening import MS_PER_MINUTE, open_store
from parley.store.records import DEFAULT_TENANT, Amounts, Limits

_FLAGS = {
    "calls": "calls that may be live at once",
    "minutes_day": "minutes of calls and sound in a day",
    "minutes_month": "minutes of calls and sound in a month",
    "tokens_day": "tokens in a day",
    "tokens_month": "tokens in a month",
    "characters_day": "characters spoken in a day",
    "characters_month": "characters spoken in a month",
}


def _list(given: argparse.Namespace) -> int:
    return asyncio.run(_list_tenants(settings_of(given)))


async def _list_tenants(settings: Settings) -> int:
    setup_logging("WARNING")
    now = datetime.now(UTC)
    async with open_store(settings) as store:
        for tenant in await store.tenants.all():
            day, month = await store.usage.of(tenant.name, now)
            limits = tenant.limits.over(store.usage.defaults)
            print(f"{tenant.name}  calls at once: {limits.calls or 'any'}")
            print(f"  today       {_told(day, limits, 'day')}")
            print(f"  this month  {_told(month, limits, 'month')}")
    return OK


def _told(used: Amounts, limits: Limits, period: str) -> str:
    """``3.5 of 60 minutes, 120 tokens, 900 of 10000 characters``."""
    limit_ms = limits.of("ms", period)
    words = [
        f"{used.ms / MS_PER_MINUTE:.1f}{f' of {limit_ms // MS_PER_MINUTE}' if limit_ms else ''} "
        "minutes"
    ]
    for measure in ("tokens", "characters"):
        limit = limits.of(measure, period)
        words.append(f"{getattr(used, measure)}{f' of {limit}' if limit else ''} {measure}")
    return ", ".join(words)


def _set(given: argparse.Namespace) -> int:
    return asyncio.run(_set_limits(settings_of(given), given))


async def _set_limits(settings: Settings, given: argparse.Namespace) -> int:
    setup_logging("WARNING")
    wanted = {name: read_limit(text) for name in _FLAGS if (text := getattr(given, name))}
    if not wanted:
        raise BadRequest("Nothing was said to be set.", hint="See parley tenants set --help.")
    async with open_store(settings) as store:
        await store.tenants.add(given.tenant)
        now = next(t.limits for t in await store.tenants.all() if t.name == given.tenant)
        await store.tenants.set_limits(given.tenant, replace(now, **_columns(wanted)))
    print(f"The quotas of {given.tenant} are set.")
    return OK


def _secret(given: argparse.Namespace) -> int:
    return asyncio.run(_show_secret(settings_of(given), given.tenant, given.rotate))


async def _show_secret(settings: Settings, tenant: str, rotates: bool) -> int:
    setup_logging("WARNING")
    async with open_store(settings) as store:
        secret = await (store.tenants.rotate_secret if rotates else store.tenants.secret_of)(tenant)
    # Alone on stdout, so that a script can take it.
    print(secret)
    if tenant == DEFAULT_TENANT and settings.tool_secret:
        print("The house's agents sign with PARLEY_TOOL_SECRET instead.", file=sys.stderr)
    if rotates:
        print("Give it to whoever checks signatures: the old one is good no more.", file=sys.stderr)
    return OK


def read_limit(text: str) -> int | None:
    """A number, ``none`` (0: no limit) or ``default`` (None: the settings' limit)."""
    if text == "default":
        return None
    if text == "none":
        return 0
    if not text.isdecimal() or int(text) == 0:
        raise BadRequest(f"{text!r} is no limit.", hint="Write a number above 0, none or default.")
    return int(text)


def _columns(wanted: dict[str, int | None]) -> dict[str, Any]:
    known = {field.name for field in fields(Limits)}
    columns: dict[str, Any] = {}
    for name, limit in wanted.items():
        column = name.replace("minutes", "ms")
        assert column in known
        is_time = column != name
        columns[column] = limit * MS_PER_MINUTE if limit and is_time else limit
    return columns


TENANT_SECRET = Verb(
    ("tenants", "secret"),
    "Print what a tenant's tools are asked with, and answer with; a tenant that is not there is "
    "made.",
    _secret,
    takes=(
        Argument("tenant", "its name", {"metavar": "TENANT"}),
        Argument("--rotate", "make a new one, which counts at once", {"action": "store_true"}),
    ),
)
LIST_TENANTS = Verb(
    ("tenants", "list"), "List the tenants, what they used and what they may use.", _list
)
SET_TENANT = Verb(
    ("tenants", "set"),
    "Set a tenant's quotas; a tenant that is not there is made.",
    _set,
    takes=(
        Argument("tenant", "its name", {"metavar": "TENANT"}),
        *(
            Argument(
                f"--{name.replace('_', '-')}",
                f"{says}: a number, none or default",
                {"default": "", "metavar": "N"},
            )
            for name, says in _FLAGS.items()
        ),
    ),
)
