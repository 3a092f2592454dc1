"""What all calls of one process share, handed to the session by ``app``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from parley.agents.schema import Agent
from parley.core.bus import Bus
from parley.session.admission import Admission, OpenHouse
from parley.session.pipeline import CallEngines
from parley.session.turns import Listening
from parley.tools.book import NoBook, ToolBook
from parley.tools.spec import Tool


class Agents(Protocol):
    """Finds the agents; the session takes one at the start of a call and keeps it."""

    def get(self, name: str, tenant: str) -> Agent:
        """The tenant's or the house's agent of that name, or the default one for "". Raises
        ``NotFound``."""
        ...


class EngineDesk(Protocol):
    """Hands out engines, open and warm."""

    def require_ready(self, agent: Agent) -> None:
        """Raises ``NotReady`` while the agent waits for a model that is being fetched."""
        ...

    async def engines_for(self, agent: Agent, voice: str) -> CallEngines:
        """This agent's engines with its options; ``voice`` overrides its own if not ""."""
        ...


class Toolshed(Protocol):
    """Hands out an agent's tools."""

    def tools_for(self, agent: Agent, tenant: str) -> Sequence[Tool]:
        """What they keep is the tenant's, even where several tenants share the agent."""
        ...


def any_tenant(name: str) -> bool:
    """For a house that keeps no book of its tenants."""
    return True


@dataclass(frozen=True)
class House:
    """Everything that a session needs and does not own."""

    bus: Bus
    agents: Agents
    engines: EngineDesk
    tools: Toolshed
    listening: Listening
    spare_voice: Callable[[], bytes] = bytes
    """An apology, spoken in advance at 24 kHz, for when speech synthesis itself fails."""
    admission: Admission = field(default_factory=OpenHouse)
    tool_book: ToolBook = field(default_factory=NoBook)
    has_tenant: Callable[[str], bool] = any_tenant
