"""What an agent's file may say of a single tool, whichever provider makes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parley.core.registry import did_you_mean
from parley.tools.spec import Tool


class ToolRules(BaseModel):
    """What is left out stays as the tool's provider has it.

    ``on_interruption``: when the caller speaks while it runs, it is cancelled, or it finishes
    silently and the model finds its result in the next turn, as it does anyway where it
    ``changes`` something. ``filler`` is said when it takes longer than ``filler_after_ms``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    filler: str | None = Field(default=None, max_length=200)
    filler_after_ms: int | None = Field(default=None, ge=0, le=60_000)
    on_interruption: Literal["cancel", "finish"] | None = None
    changes: bool | None = None
    confirms: bool | None = None
    timeout_s: float | None = Field(default=None, gt=0, le=600)

    def applied_to(self, tool: Tool) -> Tool:
        """The tool with these rules."""
        # A provider's options may be these rules and more.
        rules = set(ToolRules.model_fields) - {"on_interruption"}
        told: dict[str, Any] = self.model_dump(exclude_none=True, include=rules)
        if self.on_interruption == "cancel":
            told |= {"interruptible": True, "outlives_speech": False}
        elif self.on_interruption == "finish" or self.changes:
            told |= {"interruptible": False}
        return replace(tool, **told)


LEARNED = frozenset({"mcp", "n8n"})
"""Providers whose tools are not known before somebody else has told of them."""


def with_rules(tools: Sequence[Tool], rules: Mapping[str, ToolRules]) -> list[Tool]:
    """The tools, each with what holds for it alone."""
    return [rules[tool.name].applied_to(tool) if tool.name in rules else tool for tool in tools]


def stray_rule(
    tools: Sequence[Tool], rules: Mapping[str, ToolRules], providers: Iterable[str]
) -> str:
    """What is wrong with rules for tools that the agent doesn't have; "" if nothing is."""
    names = [tool.name for tool in tools]
    if not LEARNED.isdisjoint(providers):
        return ""
    for name in rules:
        if name not in names:
            return f'tool_rules: the agent has no tool "{name}". {did_you_mean(name, names)}'
    return ""
