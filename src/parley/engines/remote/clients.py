"""HTTP clients for engines that live in other programs."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from parley.engines.remote.addresses import is_nearby

CONNECT_TIMEOUT_S = 3.0
# Servers next door (uvicorn, cpp-httplib) close idle connections after 5 s, and a new one costs
# them nothing; far away a kept connection saves the TLS handshake at each turn of a conversation.
NEARBY_IDLE_S = 4.0
FAR_IDLE_S = 90.0


def http_client(
    url: str,
    *,
    api_key: str = "",
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
) -> httpx.AsyncClient:
    """A client for one server. ``timeout_s`` is the longest silence; connecting has its own.

    A proxy from the environment is used for public addresses only.
    """
    near = is_nearby(url)
    bearer = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx.AsyncClient(
        base_url=url,
        headers={**bearer, **(headers or {})},
        timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
        limits=httpx.Limits(
            max_connections=None,
            max_keepalive_connections=32,
            keepalive_expiry=NEARBY_IDLE_S if near else FAR_IDLE_S,
        ),
        trust_env=not near,
        # Reading all certificates takes 30 ms, and without TLS there is nothing to verify.
        verify=not url.startswith("http://"),
    )
