"""An appointment book in memory: opening hours, bookings. It forgets when the process ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from parley.core.errors import ToolFailed
from parley.core.spoken import WEEKDAYS, spoken_date, spoken_list, spoken_time

_OFFERED = 3
_DAYS_AHEAD = 366


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """When appointments can be.

    ``days`` are weekdays, Monday is 0; ``slot_minutes`` is how long an appointment lasts.
    """

    opens: time = time(9)
    closes: time = time(17)
    days: tuple[int, ...] = (0, 1, 2, 3, 4)
    slot_minutes: int = 30

    def starts(self, day: date) -> Iterator[time]:
        """The times at which an appointment can begin on that day."""
        if day.weekday() not in self.days:
            return
        step = timedelta(minutes=self.slot_minutes)
        at = datetime.combine(day, self.opens)
        end = datetime.combine(day, self.closes)
        while at + step <= end:
            yield at.time()
            at += step

    def in_words(self) -> str:
        """``Monday to Friday, from nine o'clock to five o'clock``."""
        days = sorted(self.days)
        if days == list(range(days[0], days[-1] + 1)) and len(days) > 2:
            when = f"{WEEKDAYS[days[0]]} to {WEEKDAYS[days[-1]]}"
        else:
            when = spoken_list([WEEKDAYS[day] for day in days])
        return f"{when}, from {spoken_time(self.opens)} to {spoken_time(self.closes)}"


@dataclass(frozen=True, slots=True)
class Appointment:
    name: str
    day: date
    at: time

    def in_words(self) -> str:
        return f"{spoken_date(self.day)} at {spoken_time(self.at)}"


@dataclass(frozen=True, slots=True)
class Which:
    """One of somebody's appointments, as far as it was said which."""

    name: str
    day: date | None = None
    at: time | None = None

    def fits(self, appointment: Appointment) -> bool:
        return self.day in (None, appointment.day) and self.at in (None, appointment.at)


class Diary:
    """The bookings. Every method is done in one go, so that calls can't get between.

    ``now()`` is the time at the practice; nothing can be booked before it. All failures are
    ``ToolFailed`` with a sentence that can be said to the caller.
    """

    def __init__(self, hours: OpeningHours, now: Callable[[], datetime]) -> None:
        self.hours = hours
        self._now = now
        self._booked: dict[tuple[date, time], Appointment] = {}

    def free_times(self, day: date) -> list[time]:
        """The free times of a day, earliest first; none on a day that is closed."""
        now = self._now().replace(tzinfo=None)
        return [
            at
            for at in self.hours.starts(day)
            if (day, at) not in self._booked and datetime.combine(day, at) > now
        ]

    def in_words(self, times: Sequence[time]) -> str:
        """``from nine o'clock to half past eleven and at two o'clock``."""
        runs: list[list[time]] = []
        for at in times:
            if runs and _minutes(at) - _minutes(runs[-1][-1]) == self.hours.slot_minutes:
                runs[-1].append(at)
            else:
                runs.append([at])
        parts: list[str] = []
        for run in runs:
            if len(run) > 2:
                parts.append(f"from {spoken_time(run[0])} to {spoken_time(run[-1])}")
            else:
                parts += [f"at {spoken_time(at)}" for at in run]
        return spoken_list(parts)

    def next_open_day(self, after: date) -> date:
        """The first day after this one on which something is free."""
        day = after
        for _ in range(_DAYS_AHEAD):
            day += timedelta(days=1)
            if self.free_times(day):
                return day
        raise ToolFailed("Nothing is free within a year.")

    def check_open(self, day: date) -> None:
        """Fail if nothing can be booked on that day at all."""
        today = self._now().date()
        if day < today:
            raise ToolFailed(f"{spoken_date(day)} is in the past.")
        if day > today + timedelta(days=_DAYS_AHEAD):
            raise ToolFailed("That is too far ahead: appointments can be made for one year.")
        if not any(self.hours.starts(day)):
            raise ToolFailed(
                f"We are closed on {WEEKDAYS[day.weekday()]}. We are open {self.hours.in_words()}."
            )

    def book(self, name: str, day: date, at: time) -> Appointment:
        """Book a time; booking one's own appointment again changes nothing."""
        wanted = Appointment(name, day, at)
        own = self._booked.get((day, at))
        if own is not None and _same_person(own.name, name):
            return own
        self._check_free(day, at)
        self._booked[day, at] = wanted
        return wanted

    def move(self, which: Which, new_day: date, new_time: time) -> Appointment:
        """Move an appointment; the old one stays if the new time can't be had."""
        old = self._the_one(which)
        moved = replace(old, day=new_day, at=new_time)
        if moved == old:
            return old
        self._check_free(new_day, new_time)
        del self._booked[old.day, old.at]
        self._booked[new_day, new_time] = moved
        return moved

    def cancel(self, which: Which) -> Appointment:
        old = self._the_one(which)
        del self._booked[old.day, old.at]
        return old

    def appointments(self, name: str) -> list[Appointment]:
        """Somebody's appointments that are still to come, the next one first."""
        now = self._now().replace(tzinfo=None)
        found = [
            each
            for each in self._booked.values()
            if _same_person(each.name, name) and datetime.combine(each.day, each.at) > now
        ]
        return sorted(found, key=_when)

    def _the_one(self, which: Which) -> Appointment:
        own = self.appointments(which.name)
        if not own:
            raise ToolFailed(f"There is no appointment for {which.name}.")
        fitting = [each for each in own if which.fits(each)]
        if len(fitting) == 1:
            return fitting[0]
        listed = spoken_list([each.in_words() for each in own])
        if fitting:
            raise ToolFailed(f"{which.name} has {len(own)} appointments: {listed}. Which is meant?")
        raise ToolFailed(f"{which.name} has no such appointment. There is {listed}.")

    def _check_free(self, day: date, at: time) -> None:
        self.check_open(day)
        free = self.free_times(day)
        if at in free:
            return
        when = f"{spoken_date(day)} at {spoken_time(at)}"
        if (day, at) in self._booked:
            raise ToolFailed(f"{when} is already taken. {self._offer(day, at, free)}")
        if datetime.combine(day, at) <= self._now().replace(tzinfo=None):
            raise ToolFailed(f"{when} has already passed. {self._offer(day, at, free)}")
        if self.hours.opens <= at < self.hours.closes:
            raise ToolFailed(
                f"Appointments begin every {self.hours.slot_minutes} minutes. "
                f"{self._offer(day, at, free)}"
            )
        raise ToolFailed(f"We are open {self.hours.in_words()}. {self._offer(day, at, free)}")

    def _offer(self, day: date, at: time, free: Sequence[time]) -> str:
        """The free times nearest to the one that can't be had."""
        if not free:
            other = self.next_open_day(day)
            first = spoken_time(self.free_times(other)[0])
            return f"That day is full; the next free time is {spoken_date(other)} at {first}."
        nearest = sorted(free, key=lambda each: abs(_minutes(each) - _minutes(at)))[:_OFFERED]
        times = spoken_list([spoken_time(each) for each in sorted(nearest)])
        return f"The nearest free {'time is' if len(nearest) == 1 else 'times are'} {times}."


def _same_person(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()


def _when(appointment: Appointment) -> tuple[date, time]:
    return appointment.day, appointment.at


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute
