"""The settings of who may do what, and how much: database, rate limits, quotas."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings

from parley.settings.field import setting

_DATABASES = ("sqlite://", "postgresql://")
_COUNTERS = ("redis://", "rediss://")
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


DatabaseUrl = Annotated[str, BeforeValidator(_database)]
CountersUrl = Annotated[str, BeforeValidator(_counters)]


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
