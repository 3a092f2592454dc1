"""Where minutes are counted: in this process, or in a Redis that several servers share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from parley.core.errors import BadSettings
from parley.core.extras import install_hint

if TYPE_CHECKING:
    from limits.aio.strategies import RateLimiter

ANSWERS_WITHIN_S = 0.5


@dataclass(frozen=True)
class Counters:
    """``limiter`` counts; ``close`` hangs up."""

    limiter: RateLimiter
    close: Callable[[], Awaitable[None]]


async def open_counters(redis_url: str) -> Counters:
    """In memory for "". Raises ``BadSettings`` for a Redis that can't be used at all; one that is
    only away is tried again and again."""
    # The library looks at every database that it knows: the loop goes on meanwhile.
    await asyncio.to_thread(import_module, "limits.aio.strategies")
    from limits.aio.storage import MemoryStorage
    from limits.aio.strategies import FixedWindowRateLimiter

    if not redis_url:
        return Counters(FixedWindowRateLimiter(MemoryStorage()), _nothing_to_close)
    if find_spec("redis") is None:
        raise BadSettings(
            "PARLEY_REDIS_URL is set, and the client for Redis is not installed.",
            hint=install_hint("redis"),
        )
    try:
        return await asyncio.to_thread(_in_redis, redis_url)
    except Exception as error:
        # The counting library, its client and the parser of URLs each have errors of their own.
        raise BadSettings(
            f"PARLEY_REDIS_URL can't be used: {error}.",
            hint="Write it as redis://HOST:6379/0.",
        ) from error


def _in_redis(url: str) -> Counters:
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import FixedWindowRateLimiter

    redis = cast(Any, import_module("redis.asyncio"))
    retrying = cast(Any, import_module("redis.asyncio.retry"))
    backoff = cast(Any, import_module("redis.backoff"))
    pool = redis.ConnectionPool.from_url(
        url,
        socket_timeout=ANSWERS_WITHIN_S,
        socket_connect_timeout=ANSWERS_WITHIN_S,
        # A connection that Redis has closed meanwhile is opened anew; nobody waits for more.
        retry=retrying.Retry(backoff.NoBackoff(), 1),
    )
    storage = RedisStorage(
        f"async+{url}",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="parley",
        connection_pool=pool,
    )
    return Counters(FixedWindowRateLimiter(storage), pool.aclose)


async def _nothing_to_close() -> None:
    """Memory needs no farewell."""
