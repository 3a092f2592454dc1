"""With TLS a service is whom its certificate says, under the name in its URL."""

from __future__ import annotations

import ssl
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from parley.tools.webhook import sender
from parley.tools.webhook.destinations import Destinations
from tests.e2e.tls import TlsDoor, tls_door
from tests.tools.webhook.desk import Desk, open_desk


async def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@asynccontextmanager
async def behind_tls(folder: Path) -> AsyncGenerator[tuple[Desk, TlsDoor]]:
    destinations = Destinations(["localhost", "rooms.example.org"], look_up=here)
    async with (
        open_desk(destinations=destinations) as desk,
        tls_door(desk.server.port, folder) as door,
    ):
        yield desk, door


async def test_a_service_is_reached_that_we_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with behind_tls(tmp_path) as (desk, door):
        monkeypatch.setenv("SSL_CERT_FILE", str(door.authority))

        assert await desk.use(desk.tool(url=f"https://localhost:{door.port}/")) == {"fine": True}


async def test_a_certificate_that_we_do_not_trust_is_refused(tmp_path: Path):
    async with behind_tls(tmp_path) as (desk, door):
        sentence = await desk.refused(desk.tool(url=f"https://localhost:{door.port}/"))

        assert desk.server.received == []
    assert sentence == "The service for free rooms can't be reached right now."


async def test_a_certificate_of_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with behind_tls(tmp_path) as (desk, door):
        monkeypatch.setenv("SSL_CERT_FILE", str(door.authority))

        sentence = await desk.refused(desk.tool(url=f"https://rooms.example.org:{door.port}/"))

        assert desk.server.received == []
    assert sentence == "The service for free rooms can't be reached right now."


async def test_certificates_are_loaded_once_and_beside_what_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    loaded: list[threading.Thread] = []
    load = sender.trusted_certificates

    def noted() -> ssl.SSLContext:
        loaded.append(threading.current_thread())
        return load()

    monkeypatch.setattr(sender, "trusted_certificates", noted)
    async with behind_tls(tmp_path) as (desk, door):
        monkeypatch.setenv("SSL_CERT_FILE", str(door.authority))
        tool = desk.tool(url=f"https://localhost:{door.port}/")

        for _ in range(2):
            assert await desk.use(tool) == {"fine": True}

    assert len(loaded) == 1
    assert threading.main_thread() not in loaded


async def test_certificates_that_cannot_be_loaded_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with behind_tls(tmp_path) as (desk, door):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
        tool = desk.tool(url=f"https://localhost:{door.port}/")
        refused = await desk.refused(tool)
        monkeypatch.setenv("SSL_CERT_FILE", str(door.authority))

        assert await desk.use(tool) == {"fine": True}
    assert refused == "The service for free rooms can't be reached right now."
