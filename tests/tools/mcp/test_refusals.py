"""What a server says no with reaches the model, and the log without what must not stand there."""

from __future__ import annotations

from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from parley.core.errors import ToolFailed
from parley.tools.mcp import provider
from parley.tools.mcp.facts import Declined, Listing
from parley.tools.mcp.options import McpOptions
from parley.tools.spec import ToolCall
from tests.tools.actions import FakeActions

OPTIONS = McpOptions.model_validate({"name": "bank", "url": "https://a.example", "only": ["*"]})


class Declining:
    """Repeats all that it was given."""

    async def call(self, *_: Any, **__: Any) -> Any:
        raise Declined("PIN 4711 doesn't fit the key secret-key")


async def test_a_refusal_is_logged_without_the_secrets_among_the_arguments():
    call = ToolCall("1", {"pin": "4711"}, FakeActions())
    listing = Listing("pay", "Pays.", {})

    with capture_logs() as logs, pytest.raises(ToolFailed) as failed:
        await provider._run(  # pyright: ignore[reportPrivateUsage]
            listing, OPTIONS, cast(Any, Declining()), ["secret-key"], False, call
        )

    assert [each["reason"] for each in logs] == ["PIN *** doesn't fit the key ***"]
    assert "PIN 4711 doesn't fit the key ***" in str(failed.value)
