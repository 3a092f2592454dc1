"""The ``calendar`` tools: free times, booking, moving, cancelling. In memory: a built-in stand-in
for a practice's own calendar, which forgets everything when the process ends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, time
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from parley.core.spoken import WEEKDAYS, spoken_date, spoken_list, spoken_time
from parley.tools.arguments import Arguments
from parley.tools.diary import Appointment, Diary, OpeningHours
from parley.tools.spec import Tool, ToolCall

_REMEMBERED_CALLS = 10_000
_LISTED = 6

_DAY = {"type": "string", "format": "date", "description": "Date as YYYY-MM-DD, e.g. 2026-03-03"}
_TIME = {
    "type": "string",
    "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
    "description": "Time of day as HH:MM, 24 hours, e.g. 09:30",
}
_NAME = {"type": "string", "minLength": 1, "maxLength": 80, "description": "The caller's name"}
_WHICH = {**_DAY, "description": "Date of the present appointment; only if there are several"}
