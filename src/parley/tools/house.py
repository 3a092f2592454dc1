"""What tools that live outside share: connections, secrets, the runs that wait for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.settings import Settings, tool_values
from parley.tools.runs import RunBook, ToolRuns
from parley.tools.webhook.credentials import Credentials
from parley.tools.webhook.destinations import Destinations
from parley.tools.webhook.signing import ToolSecrets

if TYPE_CHECKING:
    from parley.tools.mcp.hub import McpHub
    from parley.tools.n8n.directory import Directory
    from parley.tools.webhook.sender import Sender

RETRY_PAUSE_S = 0.25
KNOWN_WITHIN_S = 5.0
"""So long a start waits for servers to tell of their tools."""


class NoSecrets:
    """Where nobody has a secret."""

    async def secret_for(self, owner: str) -> str:
        del owner
        return ""


class HouseSecrets:
    """The house's own secret, where a setting gives it one; everybody else's from elsewhere."""

    def __init__(self, secret: str, others: ToolSecrets) -> None:
        self._secret = secret
        self._others = others

    async def secret_for(self, owner: str) -> str:
        return self._secret if self._secret and not owner else await self._others.secret_for(owner)


class ToolHouse:
    """One per process: ``open`` it, and ``close`` it at the end. Until a tool asks for it, it
    connects to n8n alone."""

    def __init__(
        self,
        destinations: Destinations | None = None,
        *,
        credentials: Credentials | None = None,
        secret: str = "",
        public_url: str = "",
        retry_pause_s: float = RETRY_PAUSE_S,
        n8n: Directory | None = None,
    ) -> None:
        self.destinations = destinations or Destinations()
        self._sender: Sender | None = None
        self._mcp: McpHub | None = None
        self.credentials = credentials or Credentials()
        self.runs = ToolRuns(public_url=public_url)
        self.retry_pause_s = retry_pause_s
        self._secret = secret
        self.secrets: ToolSecrets = HouseSecrets(secret, NoSecrets())
        self.n8n = n8n

    @classmethod
    def from_settings(cls, settings: Settings) -> ToolHouse:
        implied = [settings.n8n_base_url] if settings.n8n_base_url else []
        destinations = Destinations(settings.tool_hosts, implied)
        return cls(
            destinations,
            credentials=Credentials(tool_values()),
            secret=settings.tool_secret.get_secret_value() if settings.tool_secret else "",
            public_url=settings.public_url or "",
            n8n=_directory(settings, destinations),
        )

    def connect(self, book: RunBook, secrets: ToolSecrets) -> None:
        """From now on there is somebody who remembers runs and knows the tenants' secrets."""
        self.runs.keep_in(book)
        self.secrets = HouseSecrets(self._secret, secrets)

    @property
    def sender(self) -> Sender:
        """Whose connections all tools share."""
        if self._sender is None:
            # The HTTP client is loaded by those only who have such tools: others start quicker.
            from parley.tools.webhook.sender import Sender

            self._sender = Sender(self.destinations)
        return self._sender

    async def open(self) -> None:
        """Begin to ask n8n for its tools, where there is one."""
        if self.n8n is not None:
            await self.n8n.open()

    @property
    def mcp(self) -> McpHub:
        """The MCP servers that tools are taken from."""
        if self._mcp is None:
            from parley.tools.mcp.hub import McpHub

            self._mcp = McpHub()
        return self._mcp

    async def settled(self, within_s: float = KNOWN_WITHIN_S) -> None:
        """Wait, but not for long, until it is known which tools there are."""
        if self._mcp is not None:
            await self._mcp.settled(within_s)

    async def close(self) -> None:
        if self._mcp is not None:
            await self._mcp.close()
        if self.n8n is not None:
            await self.n8n.close()
        if self._sender is not None:
            await self._sender.close()
        self.destinations.close()


def _directory(settings: Settings, destinations: Destinations) -> Directory | None:
    if not settings.n8n_base_url or settings.n8n_api_key is None:
        return None
    from parley.tools.n8n.directory import Directory

    key = settings.n8n_api_key.get_secret_value()
    kept_in = settings.data_dir / "n8n_tools.json"
    return Directory(settings.n8n_base_url, key, destinations, kept_in)
