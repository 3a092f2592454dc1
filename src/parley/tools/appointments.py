"""The ``calendar`` tools: free times, booking, moving, cancelling.

They work on an appointment book in this process's memory, shared by a tenant's calls. It stands in
for a practice's own calendar and forgets everything when the process ends.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import time
from functools import partial
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from parley.core.spoken import WEEKDAYS, spoken_list
from parley.tools.arguments import Arguments
from parley.tools.diary import Appointment, Diary, OpeningHours, Which
from parley.tools.provider import ProviderContext
from parley.tools.spec import Tool, ToolCall

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

_DAY = {"type": "string", "format": "date", "description": "A date as YYYY-MM-DD: 2026-03-03"}
_TIME = {
    "type": "string",
    "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
    "description": "A time as HH:MM, 24 hours: 09:30",
}
_NAME = {"type": "string", "minLength": 1, "maxLength": 80, "description": "The caller's name"}
_WHICH = {
    "day": {**_DAY, "description": "The day it is on now, YYYY-MM-DD; needed only among several"},
    "time": {**_TIME, "description": "The time it is at now, HH:MM; needed only among several"},
}
_REMEMBERED_ANSWERS = 10_000

Answer = dict[str, Any]
Work = Callable[[Diary, Arguments], Answer]


class CalendarOptions(BaseModel):
    """When the practice is open and how long an appointment lasts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    opens: time = time(9)
    closes: time = time(17)
    days: tuple[Weekday, ...] = Field(
        default=("monday", "tuesday", "wednesday", "thursday", "friday"), min_length=1
    )
    slot_minutes: int = Field(default=30, ge=5, le=480)

    @model_validator(mode="after")
    def _closes_later(self) -> CalendarOptions:
        if self.closes <= self.opens:
            raise ValueError("closes must be later than opens")
        return self

    def hours(self) -> OpeningHours:
        names = get_args(Weekday)
        days = tuple(sorted({names.index(day) for day in self.days}))
        return OpeningHours(self.opens, self.closes, days, self.slot_minutes)


class CalendarProvider:
    """Makes the calendar's tools. A tenant's agents with the same hours and time zone share one
    book."""

    name = "calendar"
    summary = "A diary in memory: free times, booking, moving and cancelling appointments."
    options = CalendarOptions

    def __init__(self) -> None:
        self._diaries: dict[tuple[OpeningHours, str, str], Diary] = {}
        self._answers: OrderedDict[tuple[Diary, str, str, str, str], Answer] = OrderedDict()

    def tools(self, options: CalendarOptions, context: ProviderContext) -> Sequence[Tool]:
        hours = options.hours()
        key = (hours, context.time_zone, context.tenant)
        if key not in self._diaries:
            self._diaries[key] = Diary(hours, context.now)
        diary = self._diaries[key]
        return (
            self._tool(
                diary, "free_times", "List the free appointment times of one day.",
                _free_times, required={"day": _DAY},
            ),
            self._tool(
                diary, "book_appointment", "Book an appointment at a free time.",
                _book, required={"name": _NAME, "day": _DAY, "time": _TIME}, writes=True,
            ),
            self._tool(
                diary, "move_appointment", "Move somebody's appointment to another time.",
                _move, required={"name": _NAME, "new_day": _DAY, "new_time": _TIME},
                optional=_WHICH, writes=True,
            ),
            self._tool(
                diary, "cancel_appointment", "Cancel somebody's appointment.",
                _cancel, required={"name": _NAME}, optional=_WHICH, writes=True,
            ),
            self._tool(
                diary, "list_appointments", "List somebody's coming appointments.",
                _list, required={"name": _NAME},
            ),
        )  # fmt: skip

    def _tool(
        self,
        diary: Diary,
        name: str,
        description: str,
        work: Work,
        *,
        required: Mapping[str, Any],
        optional: Mapping[str, Any] | None = None,
        writes: bool = False,
    ) -> Tool:
        properties = {**required, **(optional or {})}
        return Tool(
            name=name,
            description=description,
            run=partial(self._run, name, diary, work, tuple(properties), writes),
            parameters={
                "type": "object",
                "properties": properties,
                "required": list(required),
                "additionalProperties": False,
            },
            interruptible=not writes,
            changes=writes,
            confirms=writes,
        )

    async def _run(
        self,
        name: str,
        diary: Diary,
        work: Work,
        known: tuple[str, ...],
        writes: bool,
        call: ToolCall,
    ) -> Answer:
        """Do the work once per call and tool-call id: asked again, give the same answer.

        Nothing here waits, so that two calls can't book the same time at once.
        """
        # The arguments belong to it: some models number their calls anew in every turn.
        asked = json.dumps(dict(call.arguments), sort_keys=True, default=str)
        key = (diary, call.actions.call_id, name, call.id, asked)
        if writes and key in self._answers:
            return self._answers[key]
        answer = work(diary, Arguments(call.arguments, known))
        if writes:
            self._answers[key] = answer
            if len(self._answers) > _REMEMBERED_ANSWERS:
                self._answers.popitem(last=False)
        return answer


def _free_times(diary: Diary, given: Arguments) -> Answer:
    day = given.day("day")
    diary.check_open(day)
    times = diary.free_times(day)
    answer = {
        "day": day.isoformat(),
        "weekday": WEEKDAYS[day.weekday()],
        "times": [at.isoformat("minutes") for at in times],
        "summary": diary.in_words(times),
    }
    if not times:
        answer["next_day"] = diary.next_open_day(day).isoformat()
    return answer


def _book(diary: Diary, given: Arguments) -> Answer:
    name = given.text("name")
    booked = diary.book(name, given.day("day"), given.time_of_day("time"))
    return {"status": "booked", **_facts(booked)}


def _move(diary: Diary, given: Arguments) -> Answer:
    moved = diary.move(_which(given), given.day("new_day"), given.time_of_day("new_time"))
    return {"status": "moved", **_facts(moved)}


def _cancel(diary: Diary, given: Arguments) -> Answer:
    return {"status": "cancelled", **_facts(diary.cancel(_which(given)))}


def _which(given: Arguments) -> Which:
    return Which(
        given.text("name"),
        given.day("day") if given.has("day") else None,
        given.time_of_day("time") if given.has("time") else None,
    )


def _list(diary: Diary, given: Arguments) -> Answer:
    name = given.text("name")
    found = diary.appointments(name)
    return {
        "name": name,
        "appointments": [_facts(each) for each in found],
        "summary": spoken_list([each.in_words() for each in found]),
    }


def _facts(appointment: Appointment) -> Answer:
    return {
        "name": appointment.name,
        "day": appointment.day.isoformat(),
        "weekday": WEEKDAYS[appointment.day.weekday()],
        "time": appointment.at.isoformat("minutes"),
        "summary": appointment.in_words(),
    }
