"""Which sites' pages may call: browsers ask by CORS, and of a WebSocket it is asked here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from parley.core.errors import Forbidden
from parley.core.log import get_logger

log = get_logger(__name__)

Guard = Callable[[HTTPConnection], Awaitable[Any]]

EVERY_SITE = "*"
_USUAL_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Origins:
    """The sites of PARLEY_CORS_ORIGINS, as browsers write them: ``https://shop.example``."""

    named: tuple[str, ...] = ()

    @property
    def has_any(self) -> bool:
        return bool(self.named)

    @property
    def has_every(self) -> bool:
        return EVERY_SITE in self.named

    @property
    def trusted(self) -> Sequence[str]:
        """The sites that were named one by one: without a key ``*`` opens the door to none."""
        return tuple(site for site in self.named if site != EVERY_SITE)

    def may_call(self, origin: str) -> bool:
        """Whether a page of another site may read our answers."""
        return self.has_every or origin in self.named

    def is_allowed(self, origin: str, host: str) -> bool:
        """Whether a WebSocket may be opened: by a program (no origin), by a page that this server
        itself served (``host`` is the header), or by a page of an allowed site."""
        return not origin or self.may_call(origin) or _is_same(origin, host)

    async def require(self, connection: HTTPConnection) -> None:
        """A FastAPI dependency for WebSockets, which browsers open whatever CORS says."""
        origin = connection.headers.get("origin", "")
        if self.is_allowed(origin, connection.headers.get("host", "")):
            return
        log.info("foreign_page_refused", origin=origin[:200], path=connection.url.path)
        raise foreign_page(origin)

    def before(self, guard: Guard) -> Guard:
        """The guard of a WebSocket that is opened by allowed pages alone."""
        return _AllowedPages(self, guard)


@dataclass(frozen=True, slots=True)
class _AllowedPages:
    origins: Origins
    guard: Guard

    async def __call__(self, connection: HTTPConnection) -> Any:
        await self.origins.require(connection)
        return await self.guard(connection)


def foreign_page(origin: str) -> Forbidden:
    """What a page of a site that isn't allowed is told."""
    return Forbidden(
        f"Pages of {origin[:200]} may not call this server.",
        hint="Its owner can name that site in PARLEY_CORS_ORIGINS.",
    )


def _is_same(origin: str, host: str) -> bool:
    """Behind a proxy the scheme isn't known for sure: host and port decide."""
    try:
        site = urlsplit(origin)
        usual = _USUAL_PORTS.get(site.scheme)
        ours = urlsplit(f"//{host}")
        return bool(site.hostname) and (site.hostname, site.port or usual) == (
            ours.hostname,
            ours.port or usual,
        )
    except ValueError:
        return False
