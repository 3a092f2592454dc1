"""The settings of who may do what, and how much: database, rate limits, quotas."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode

from parley.settings.field import setting
from parley.settings.values import words

_DATABASES = ("sqlite://", "postgresql://")
_COUNTERS = ("redis://", "rediss://")
# Browsers leave these out.
_USUAL_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_NONE = "0 sets no limit."


def _database(value: object) -> object:
    if isinstance(value, str):
        scheme, colon, rest = value.partition("://")
        if not colon or f"{scheme}://" not in _DATABASES or (scheme != "sqlite" and not rest):
            raise ValueError
    return value


def _counters(value: object) -> object:
    if isinstance(value, str) and not value.startswith(_COUNTERS):
        raise ValueError
    return value


def _origins(value: object) -> object:
    listed = words(value)
    if not isinstance(listed, list | tuple):
        return value
    sites = [str(site) for site in cast("Iterable[object]", listed)]
    if "*" in sites and len(sites) > 1:
        raise ValueError("* stands alone")
    return tuple(dict.fromkeys(site if site == "*" else _origin(site) for site in sites))


def _origin(site: str) -> str:
    """As browsers write it: in small letters, without the usual port, with nothing behind it."""
    parts = urlsplit(site.lower())
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    is_bare = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    if not (host and is_bare and _SCHEME.fullmatch(parts.scheme)):
        raise ValueError(f"{site[:60]} is no origin")
    port = parts.port
    is_usual = port is None or port == _USUAL_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" + ("" if is_usual else f":{port}")


DatabaseUrl = Annotated[str, BeforeValidator(_database)]
CountersUrl = Annotated[str, BeforeValidator(_counters)]
CorsOrigins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]


def _limit(name: str, says: str, default: int = 0) -> Any:
    return setting(name, default, f"{says} {_NONE}", "access", ge=0)


class AccessSettings(BaseSettings):
    """What holds for every key and tenant that has no limits of its own."""

    database_url: DatabaseUrl | None = setting(
        "PARLEY_DATABASE_URL",
        None,
        "The database with keys, usage and calls.",
        "access",
        allowed="sqlite:///FILE, sqlite:// (in memory) or postgresql://USER:PASSWORD@HOST/NAME",
        shown="`parley.db` in `PARLEY_DATA_DIR`",
        hides_value=True,
        example="sqlite:////var/lib/parley/parley.db",
    )
    history_days: int = setting(
        "PARLEY_HISTORY_DAYS",
        0,
        "For how many days calls that are over are kept, with what was said and done in them. "
        "0 keeps them for ever.",
        "access",
        ge=0,
        le=36_500,
        example="90",
    )
    redis_url: CountersUrl | None = setting(
        "PARLEY_REDIS_URL",
        None,
        "Where the counters of rate limits are kept when several servers share them.",
        "access",
        allowed="redis://HOST:PORT/NUMBER or rediss://…",
        shown="this process's memory",
        hides_value=True,
        example="redis://redis:6379/0",
    )
    cors_origins: CorsOrigins = setting(
        "PARLEY_CORS_ORIGINS",
        (),
        "The sites whose pages may call from a browser. Those of * need a key even where "
        "programs need none.",
        "access",
        allowed="origins like https://shop.example with commas between, or * for every site",
        shown="none",
        example="https://shop.example,http://localhost:3000",
    )
    rate_requests: int = _limit(
        "PARLEY_RATE_REQUESTS", "How many requests a key may make in a minute."
    )
    rate_audio_s: int = _limit(
        "PARLEY_RATE_AUDIO_S", "How many seconds of sound a key may have heard or made in a minute."
    )
    rate_tokens: int = _limit(
        "PARLEY_RATE_TOKENS", "How many tokens of language models a key may use in a minute."
    )
    rate_offers: int = _limit(
        "PARLEY_RATE_OFFERS",
        "How many calls a key, or an address without one, may try to begin in a minute.",
        60,
    )
    tenant_calls: int = _limit(
        "PARLEY_TENANT_CALLS", "How many calls of one tenant may be live at once."
    )
    quota_minutes_day: int = _limit(
        "PARLEY_QUOTA_MINUTES_DAY", "How many minutes of calls and sound a tenant has in a day."
    )
    quota_minutes_month: int = _limit(
        "PARLEY_QUOTA_MINUTES_MONTH", "How many minutes of calls and sound a tenant has in a month."
    )
    quota_tokens_day: int = _limit(
        "PARLEY_QUOTA_TOKENS_DAY", "How many tokens of language models a tenant has in a day."
    )
    quota_tokens_month: int = _limit(
        "PARLEY_QUOTA_TOKENS_MONTH", "How many tokens of language models a tenant has in a month."
    )
    quota_characters_day: int = _limit(
        "PARLEY_QUOTA_CHARACTERS_DAY", "How many characters a tenant may have spoken in a day."
    )
    quota_characters_month: int = _limit(
        "PARLEY_QUOTA_CHARACTERS_MONTH", "How many characters a tenant may have spoken in a month."
    )
