"""Sends events to webhooks, only to addresses that may be reached."""

from __future__ import annotations

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

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer. Raises ``ConnectFailed`` and ``DestinationRefused``."""
        # Who has no webhook need not load an HTTP client.
        import httpx

        from parley.tools.webhook.line import guarded_client

        if self._client is None:
            self._client = guarded_client(self._destinations)
        try:
            async with self._client.stream("POST", url, content=body, headers=headers) as answer:
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
