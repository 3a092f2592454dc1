"""Sends events to webhooks, only to addresses that may be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from parley.core.errors import ConnectFailed
from parley.tools.webhook.destinations import Destinations

if TYPE_CHECKING:
    import httpx

# What they answer is of no interest; reading a little keeps the connection.
_ANSWER_BYTES = 16 * 1024


class EventPoster:
    """Its connections are opened when there is something to send. ``close`` it at the end."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer. Raises ``ConnectFailed`` and ``DestinationRefused``."""
        client = await self._opened()
        import httpx

        try:
            async with client.stream("POST", url, content=body, headers=headers) as answer:
                seen = 0
                async for piece in answer.aiter_raw():
                    seen += len(piece)
                    if seen > _ANSWER_BYTES:
                        break
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ConnectFailed(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        return answer.status_code

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _opened(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._client is None:
                # Loading certificates takes some 30 ms, in which no call would move on.
                self._client = await asyncio.to_thread(_client, self._destinations)
            return self._client


def _client(destinations: Destinations) -> httpx.AsyncClient:
    # Who has no webhook need not load an HTTP client.
    from parley.tools.webhook.line import guarded_client

    return guarded_client(destinations)
