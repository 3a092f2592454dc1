"""Sending events holds up nothing else that the server does."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest

from tests.api.receivers import mailbox, poster


async def test_certificates_are_loaded_once_and_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load, loaded_by = httpx.create_ssl_context, list[threading.Thread]()

    def note(*options: Any, **named: Any) -> Any:
        loaded_by.append(threading.current_thread())
        return load(*options, **named)

    monkeypatch.setattr(httpx, "create_ssl_context", note)
    async with mailbox() as box, poster() as mail:
        sent = await asyncio.gather(*(mail.post(box.url, b"{}", {}) for _ in range(3)))

    assert sent == [200, 200, 200]
    assert len(loaded_by) == 1
    assert threading.main_thread() not in loaded_by
