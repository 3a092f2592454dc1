"""The tool ``webhook``: any service at a URL, described in an agent's file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parley.tools.house import ToolHouse
from parley.tools.premises import Flaw, Premises
from parley.tools.provider import ProviderContext
from parley.tools.spec import Tool
from parley.tools.webhook.options import WebhookOptions
from parley.tools.webhook.tool import WebhookTool


class WebhookProvider:
    """Makes one tool of each ``webhook`` in an agent's file. Without a house it only checks what
    the file says."""

    name = "webhook"
    summary = "A service at a URL, by a signed envelope or as a plain HTTP API."
    options = WebhookOptions

    def __init__(self, house: ToolHouse | None = None) -> None:
        self._house = house or ToolHouse()
        self._only_checks = house is None

    def tools(self, options: WebhookOptions, context: ProviderContext) -> Sequence[Tool]:
        """Raises ``DestinationRefused`` for a URL that may not be reached, and ``BadRequest`` for
        a secret that isn't set."""
        if not self._only_checks:
            self._house.destinations.require_url(options.fixed_url)
            self._house.credentials.require(options.headers, owner=context.owner)
            self._house.sender.prepare(options.url)
        return (WebhookTool(options, self._house, context).tool(),)

    def flaws(
        self, options: WebhookOptions, context: ProviderContext, premises: Premises
    ) -> Iterator[Flaw]:
        yield from premises.flaws_of_url(("url",), options.fixed_url)
        yield from premises.flaws_of_secrets(("headers",), options.headers, owner=context.owner)
