"""What a tool provider is: it makes the tools of one kind for an agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from parley.tools.spec import Tool


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a provider may know of the agent. ``now()`` is the time in ``time_zone``, aware of it;
    an empty ``time_zone`` is that of this machine. What a provider keeps belongs to ``tenant``: no
    other may get to see it. ``folder`` is where the agent's file lies; None where it has none, or
    where only its options are being checked. ``owner`` is the tenant whose file the agent is: ""
    for the house's, which several tenants may call. ``language`` is the agent's, as a tag."""

    time_zone: str
    now: Callable[[], datetime]
    tenant: str = ""
    folder: Path | None = None
    owner: str = ""
    language: str = ""


class ToolProvider(Protocol):
    """Tools under one name. ``options`` is the model of what an agent may set for them."""

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str: ...

    @property
    def options(self) -> type[BaseModel]: ...

    def tools(self, options: Any, context: ProviderContext) -> Sequence[Tool]: ...


class ToolMaker(Protocol):
    """Makes tools by the names of their providers; ``catalog`` has one."""

    def tools_for(
        self,
        wanted: Sequence[Any],
        *,
        time_zone: str = "",
        tenant: str = "",
        folder: Path | None = None,
        owner: str = "",
        language: str = "",
    ) -> Sequence[Tool]: ...
