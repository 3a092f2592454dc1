"""The ``clock`` tool: the time and the date where the agent is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict

from parley.core.spoken import WEEKDAYS, spoken_date, spoken_time
from parley.tools.provider import ProviderContext
from parley.tools.spec import Tool, ToolCall


class ClockOptions(BaseModel):
    """The clock has nothing to set: the time zone is the agent's."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClockProvider:
    """Makes the tool ``current_time``."""

    name = "clock"
    summary = "The current time and date in the agent's time zone."
    options = ClockOptions

    def tools(self, options: ClockOptions, context: ProviderContext) -> Sequence[Tool]:
        return (
            Tool(
                name="current_time",
                description="Tell the current time, date and weekday.",
                run=partial(_current_time, context),
                parameters={"type": "object", "properties": {}, "additionalProperties": False},
            ),
        )


async def _current_time(context: ProviderContext, call: ToolCall) -> dict[str, Any]:
    # Whatever a model passes along, the question is clear.
    now = context.now().replace(second=0, microsecond=0)
    return {
        "date": now.date().isoformat(),
        "weekday": WEEKDAYS[now.weekday()],
        "time": now.strftime("%H:%M"),
        "time_zone": context.time_zone or now.tzname() or "",
        "summary": f"{spoken_time(now.time())} on {spoken_date(now.date())}",
    }
