"""A service that drops the connection as soon as it has taken it can't be reached."""

from __future__ import annotations

import httpcore
import httpx
import pytest

from parley.tools.webhook.destinations import Destinations
from parley.tools.webhook.line import guarded_client


class GoneStream(httpcore.AsyncNetworkStream):
    """What anyio has of a connection that is gone."""

    def get_extra_info(self, info: str) -> object:
        raise AttributeError("'NoneType' object has no attribute 'getpeername'")


async def hung_up(*_: object, **__: object) -> httpcore.AsyncNetworkStream:
    return GoneStream()


async def test_a_connection_that_is_dropped_at_once_is_a_failure_to_connect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", hung_up)

    async with guarded_client(Destinations(["127.0.0.1"]), uses_tls=False) as client:
        with pytest.raises(httpx.ConnectError, match="hung up at once"):
            await client.get("http://127.0.0.1:9/")
