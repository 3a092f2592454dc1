"""What is written down of every run of a tool: when it begins, and when it is over."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol


def new_run_id() -> str:
    return f"run_{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True)
class RunBegan:
    """A tool is about to run. ``arguments`` hold no secrets; it has ``timeout_s`` at most."""

    id: str
    tenant: str
    call_id: str
    agent: str
    tool: str
    provider: str
    tool_call_id: str
    idempotency_key: str
    arguments: Mapping[str, Any]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class RunOver:
    """A tool has answered, failed or been cancelled. ``answer`` is what the model got."""

    id: str
    state: Literal["answered", "failed", "cancelled"]
    after_ms: float
    answer: Any = None
    error_code: str = ""
    error: str = ""


class ToolBook(Protocol):
    """Writes down what tools do. Neither waits, nor raises: a call goes on whatever befalls the
    book."""

    def began(self, run: RunBegan) -> None: ...

    def ended(self, run: RunOver) -> None: ...


class NoBook:
    """Where nothing is written down."""

    def began(self, run: RunBegan) -> None: ...

    def ended(self, run: RunOver) -> None: ...
