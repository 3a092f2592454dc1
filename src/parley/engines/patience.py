"""Whether an engine's work was given up because it took too long, or because nobody wants it.

Both reach the engine as a cancellation. Whoever waits with a limit says so here, and what
watches over several servers can tell one that hangs from one whose caller has gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_LIMIT: ContextVar[asyncio.Timeout | None] = ContextVar("patience", default=None)


@contextmanager
def patience(limit: asyncio.Timeout) -> Generator[None]:
    """What is awaited inside can see whether ``limit`` has run out."""
    token = _LIMIT.set(limit)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def has_run_out() -> bool:
    limit = _LIMIT.get()
    return limit is not None and limit.expired()
