"""``parley keys``: create, list, revoke, rotate."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from parley.access.caller import CLOSED_SCOPES, OPEN_SCOPES, SCOPES, MinuteLimits, read_scopes
from parley.access.keys import KeyDesk, NewKey
from parley.cli.verb import OK, Argument, Verb, settings_of
from parley.core.errors import BadRequest
from parley.core.log import setup_logging
from parley.settings import Settings
from parley.store.opening import open_store
from parley.store.records import DEFAULT_TENANT, KeyRecord

_SPAN = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(weeks=5200)


@asynccontextmanager
async def _desk(settings: Settings) -> AsyncGenerator[KeyDesk]:
    setup_logging("WARNING")
    async with open_store(settings) as store:
        yield KeyDesk(store.keys)


def _create(given: argparse.Namespace) -> int:
    return asyncio.run(_create_key(settings_of(given), given))


async def _create_key(settings: Settings, given: argparse.Namespace) -> int:
    scopes = read_scopes(given.scopes.split(",")) if given.scopes else OPEN_SCOPES
    limits = MinuteLimits(
        given.requests_per_minute, given.audio_s_per_minute, given.tokens_per_minute
    )
    async with _desk(settings) as desk:
        made = await desk.create(
            given.name,
            tenant=given.tenant,
            scopes=scopes,
            lifetime=read_span(given.expires) if given.expires else None,
            limits=limits,
        )
    _show_once(made)
    return OK


def _list(given: argparse.Namespace) -> int:
    return asyncio.run(_list_keys(settings_of(given), given.tenant))


async def _list_keys(settings: Settings, tenant: str) -> int:
    async with _desk(settings) as desk:
        keys = await desk.all(tenant)
    if not keys:
        print("There are no keys. Make one: parley keys create --name NAME.")
    now = datetime.now(UTC)
    rows = [("id", "key", "name", "tenant", "state", "last use", "scopes")] if keys else []
    rows += [_row(key, now) for key in keys]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    return OK


def _revoke(given: argparse.Namespace) -> int:
    return asyncio.run(_revoke_key(settings_of(given), given.key, given.forget))


async def _revoke_key(settings: Settings, name: str, forget: bool) -> int:
    async with _desk(settings) as desk:
        key = await (desk.forget(name) if forget else desk.revoke(name))
    print(f"{key.id} ({key.name}) is {'forgotten' if forget else 'revoked'}.")
    return OK


def _rotate(given: argparse.Namespace) -> int:
    return asyncio.run(_rotate_key(settings_of(given), given.key, read_span(given.overlap)))


async def _rotate_key(settings: Settings, name: str, overlap: timedelta) -> int:
    async with _desk(settings) as desk:
        old = await desk.find(name)
        made = await desk.rotate(old.id, overlap=overlap)
        old = await desk.find(old.id)
    _show_once(made)
    print(f"The old one, {old.id}, is good until {_moment(old.expires_at)}.", file=sys.stderr)
    return OK


def read_span(text: str) -> timedelta:
    """``90d``, ``12h``, ``1w``; ``0s`` is none at all."""
    match = _SPAN.fullmatch(text)
    if match is None or int(match[1]) * timedelta(**{_UNITS[match[2]]: 1}) > _LONGEST:
        raise BadRequest(f"{text!r} is no time span.", hint="Write 30m, 12h, 90d or 4w.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _show_once(made: NewKey) -> None:
    key = made.record
    print(made.token)
    # Only the key itself goes to stdout: KEY=$(parley keys create --name web).
    print(
        f"Keep it: it is not shown again. {key.id} ({key.name}), tenant {key.tenant},",
        file=sys.stderr,
    )
    until = f"good until {_moment(key.expires_at)}" if key.expires_at else "never expires"
    print(f"{until}, scopes {','.join(key.scopes)}.", file=sys.stderr)


def _row(key: KeyRecord, now: datetime) -> tuple[str, ...]:
    last_use = _moment(key.last_used_at) if key.last_used_at else "never"
    scopes = "all" if set(key.scopes) == set(SCOPES) else ",".join(key.scopes)
    return (key.id, f"{key.prefix}…", key.name, key.tenant, _state(key, now), last_use, scopes)


def _state(key: KeyRecord, now: datetime) -> str:
    if key.revoked_at:
        return f"revoked {_moment(key.revoked_at)}"
    if not key.expires_at:
        return "good"
    return f"{'good until' if key.is_good(now) else 'expired'} {_moment(key.expires_at)}"


def _moment(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC") if at else ""


_KEY = Argument("key", "the key's id, its first letters as listed, or its name", {"metavar": "KEY"})
_OWN_LIMIT = {"type": int, "default": -1, "metavar": "N"}

CREATE_KEY = Verb(
    ("keys", "create"),
    "Make a key and print it, once.",
    _create,
    takes=(
        Argument("--name", "what it is for", {"required": True}),
        Argument("--tenant", "whose it is", {"default": DEFAULT_TENANT}),
        Argument(
            "--scopes",
            f"what it may do, with commas: {', '.join(SCOPES)}, or all; "
            f"default: all but {', '.join(s for s in SCOPES if s in CLOSED_SCOPES)}",
            {"default": ""},
        ),
        Argument("--expires", "for how long it is good: 12h, 90d …; default: for ever", {}),
        Argument(
            "--requests-per-minute", "its own limit; 0 is none; default: the settings'", _OWN_LIMIT
        ),
        Argument("--audio-s-per-minute", "its own limit on seconds of sound", _OWN_LIMIT),
        Argument("--tokens-per-minute", "its own limit on tokens", _OWN_LIMIT),
    ),
)
LIST_KEYS = Verb(
    ("keys", "list"),
    "List the keys, without what makes them work.",
    _list,
    takes=(Argument("--tenant", "only those of this tenant", {"default": ""}),),
)
REVOKE_KEY = Verb(
    ("keys", "revoke"),
    "Make a key good for nothing.",
    _revoke,
    takes=(
        _KEY,
        Argument(
            "--forget",
            "remove it from the list, too; when no key is left, this machine needs none again",
            {"action": "store_true"},
        ),
    ),
)
ROTATE_KEY = Verb(
    ("keys", "rotate"),
    "Make a new key for the same purpose; the old one stays good for a while.",
    _rotate,
    takes=(
        _KEY,
        Argument(
            "--overlap",
            "for how long the old one stays good; default: 1d",
            {"default": "1d", "metavar": "SPAN"},
        ),
    ),
)
