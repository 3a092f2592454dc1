"""Asks n8n which published workflows are tools."""

from __future__ import annotations

import json
from typing import Any, cast

import httpx

from parley.core.errors import ConnectFailed
from parley.tools.n8n.workflows import TAG
from parley.tools.webhook.destinations import Destinations
from parley.tools.webhook.line import guarded_client

_PAGE = 100
_MOST_PAGES = 20
# Workflows come with all of their nodes; two million bytes a page are a hundred large ones.
_LARGEST_PAGE_BYTES = 16 * 1024 * 1024
_TIMEOUT_S = 10.0


class Listing:
    """n8n's public REST API at ``base_url``, asked with a key that may list and read workflows."""

    def __init__(self, base_url: str, api_key: str, destinations: Destinations) -> None:
        self._url = f"{base_url}/api/v1/workflows"
        self._client = guarded_client(
            destinations, uses_tls=base_url.startswith("https:"), timeout_s=_TIMEOUT_S
        )
        self._headers = {"X-N8N-API-KEY": api_key, "Accept": "application/json"}

    async def close(self) -> None:
        await self._client.aclose()

    async def workflows(self) -> list[dict[str, Any]]:
        """All published workflows with our tag. Raises ``ConnectFailed`` that says why not."""
        found: list[dict[str, Any]] = []
        cursor = ""
        for _ in range(_MOST_PAGES):
            page = await self._page(cursor)
            rows = page.get("data")
            if not isinstance(rows, list):
                raise ConnectFailed(f"{self._url} answered with something else than workflows.")
            found += [row for row in cast("list[Any]", rows) if isinstance(row, dict)]
            cursor = page.get("nextCursor") or ""
            if not cursor:
                return found
        raise ConnectFailed(
            f"n8n lists more than {_MOST_PAGES * _PAGE} workflows with the tag {TAG}."
        )

    async def _page(self, cursor: str) -> dict[str, Any]:
        query = {"active": "true", "tags": TAG, "limit": str(_PAGE), "excludePinnedData": "true"}
        if cursor:
            query["cursor"] = cursor
        try:
            async with self._client.stream(
                "GET", self._url, params=query, headers=self._headers
            ) as response:
                body = await self._body(response)
        except (httpx.HTTPError, OSError) as error:
            raise ConnectFailed(
                f"n8n at {self._url} can't be reached: {type(error).__name__} {error}".rstrip(),
                hint="Check N8N_BASE_URL, and that n8n is up.",
            ) from error
        return _object(body, self._url)

    async def _body(self, response: httpx.Response) -> bytes:
        if response.status_code in (401, 403):
            raise ConnectFailed(
                "n8n refuses the key in N8N_API_KEY.",
                hint="Make one in n8n under Settings, n8n API, with the scopes workflow:list and "
                "workflow:read.",
            )
        if response.status_code != 200:
            raise ConnectFailed(
                f"n8n at {self._url} answered {response.status_code}.",
                hint="Its public API must be on (N8N_PUBLIC_API_DISABLED=false).",
            )
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _LARGEST_PAGE_BYTES:
                raise ConnectFailed("A page of n8n's workflows is larger than 16 MiB.")
        return bytes(body)


def _object(body: bytes, url: str) -> dict[str, Any]:
    try:
        page: Any = json.loads(body)
    except (ValueError, RecursionError):
        page = None
    if not isinstance(page, dict):
        raise ConnectFailed(f"{url} answered with something else than JSON; is n8n there?")
    return cast("dict[str, Any]", page)
