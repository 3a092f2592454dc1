"""The five appointment tools over any store, and every workflow that is shipped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from make_workflows import doors, words
from make_workflows.caldav import CalDav
from make_workflows.flow import Flow, called_with, shaped, when
from make_workflows.google import Google
from make_workflows.stores import Store
from make_workflows.table import Table

_SET, _IF, _WAIT = "n8n-nodes-base.set", "n8n-nodes-base.if", "n8n-nodes-base.wait"
# Eight of them, and all else that a booking does, stay below the time limit of a run.
PAUSE_S = 0.25
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
_ZONE = {
    "time_zone": {
        "type": "string",
        "description": "The caller's own time zone, such as Europe/Paris, only if it is another",
    }
}


@dataclass(frozen=True)
class Operation:
    """One tool: what it is called, what it takes, what its first step makes of that."""

    key: str
    tool: str
    description: str
    required: Mapping[str, Any]
    optional: Mapping[str, Any]
    changes: bool = True

    @property
    def schema(self) -> str:
        made = {
            "type": "object",
            "properties": {**self.required, **self.optional},
            "required": list(self.required),
            "additionalProperties": False,
        }
        return json.dumps(made, indent=2)

    @property
    def inputs(self) -> Sequence[str]:
        return (*self.required, *self.optional, "idempotency_key")


OPERATIONS = (
    Operation(
        "free", "free_times", "List the free appointment times of one day.",
        {"day": _DAY}, {}, changes=False,
    ),
    Operation(
        "book", "book_appointment", "Book an appointment at a free time.",
        {"name": _NAME, "day": _DAY, "time": _TIME}, _ZONE,
    ),
    Operation(
        "move", "move_appointment", "Move somebody's appointment to another time.",
        {"name": _NAME, "new_day": _DAY, "new_time": _TIME}, {**_WHICH, **_ZONE},
    ),
    Operation(
        "cancel", "cancel_appointment", "Cancel somebody's appointment.",
        {"name": _NAME}, _WHICH,
    ),
    Operation(
        "list", "list_appointments", "List somebody's coming appointments.",
        {"name": _NAME}, {}, changes=False,
    ),
)  # fmt: skip


def tool_flow(operation: Operation, store: Store, key: str, where: str, store_name: str) -> Flow:
    """The workflow of one tool. ``where`` is added to its name."""
    name = f"Parley: {operation.tool.replace('_', ' ')}{where}"
    flow = Flow(key, name, f"{operation.description} Kept in {store_name}.", is_tool=True)
    trigger = flow.add(
        "Parley Tool", "n8n-nodes-parley.parleyTool", 1, _tool_parameters(operation), (0, 0),
        credential="parleyApi", webhook=True,
    )  # fmt: skip
    called = flow.add(
        "Called as a sub-workflow", "n8n-nodes-base.executeWorkflowTrigger", 1.1,
        called_with(operation.inputs), (0, 1),
    )  # fmt: skip
    practice = flow.add(
        "Practice", _SET, 3.4,
        {"mode": "raw", "jsonOutput": words.PRACTICE, "includeOtherFields": True, "options": {}},
        (1, 0), executeOnce=True,
    )  # fmt: skip
    asked = flow.add("Asked", _SET, 3.4, shaped(words.asked(operation.key)), (2, 0))
    understood = flow.add("Understood?", _IF, 2.2, when("!$json.answer"), (3, 0))
    find = store.find(flow, (4, 0), operation.key)
    decision = words.decision(operation.key, store.rows)
    decide = flow.add("Decide", _SET, 3.4, shaped(decision), (5, 0), executeOnce=True)
    flow.chain(trigger, practice, asked, understood, find, decide)
    flow.join(called, practice)
    answer = flow.add(
        "Answer", _SET, 3.4, shaped(_answer_of(*_STEPS[operation.key])), (16, 1), executeOnce=True
    )
    flow.join(understood, answer, 1)
    if not operation.changes:
        flow.join(decide, answer)
    elif operation.key == "cancel":
        _end_it(flow, store, decide, answer)
    else:
        _take_it(flow, store, decide, answer, moves=operation.key == "move")
    return flow


# Where an answer may come from, the last of them first.
_STEPS = {
    "free": ("Decide",),
    "book": ("Verdict", "Decide"),
    "move": ("Unchanged", "Verdict", "Decide"),
    "cancel": ("Unchanged", "Decide"),
    "list": ("Decide",),
}


def _answer_of(*steps: str) -> str:
    """JavaScript: the answer that the last of these steps has given."""
    tried = [f"$('{step}').isExecuted ? $('{step}').first().json.answer : " for step in steps]
    return "".join(tried) + "$('Asked').first().json.answer"


def _tool_parameters(operation: Operation) -> dict[str, Any]:
    options: dict[str, Any] = {"timeoutS": 10}
    if operation.changes:
        options |= {"changes": True, "confirms": True, "onInterruption": "finish"}
    return {
        "name": operation.tool,
        "description": operation.description,
        "parametersSchema": operation.schema,
        "answer": "lastNode",
        "options": options,
    }


def _take_it(flow: Flow, store: Store, decide: str, answer: str, *, moves: bool) -> None:
    """Claim the time; keep it if nobody else was first, and end the old one if it is a move."""
    to_claim = flow.add("Free?", _IF, 2.2, when("$json.next === 'claim'"), (6, 0))
    claim = store.claim(flow, (7, 0))
    check = store.check(flow, (8, 0))
    status = "moved" if moves else "booked"
    way = store.give_way(flow, (9, 1)) if check else None
    verdict_code = words.verdict(
        status, store.rows, store.verdict, store.lost, looks_again=bool(way)
    )
    verdict = flow.add("Verdict", _SET, 3.4, shaped(verdict_code), (9, 0), executeOnce=True)
    won = flow.add("Ours?", _IF, 2.2, when("$json.won"), (10, 0))
    steps = [name for name in (claim, check, verdict, won) if name]
    flow.chain(decide, to_claim, *steps)
    keep = store.keep(flow, (11, 0))
    end = store.end(flow, (12, 0), "moved") if moves else None
    flow.chain(*(name for name in (won, keep, end or answer) if name))
    let_go = store.let_go(flow, (11, 2))
    lost = let_go or answer
    if way and check:
        undecided = flow.add("Undecided?", _IF, 2.2, when("$json.again"), (10, 1))
        pause = {"resume": "timeInterval", "amount": PAUSE_S, "unit": "seconds"}
        flow.join(won, undecided, 1)
        flow.chain(undecided, way, flow.add("Pause", _WAIT, 1.1, pause, (8, 1)), check)
        flow.join(undecided, lost, 1)
    else:
        flow.join(won, lost, 1)
    if let_go:
        flow.join(let_go, answer)
    if end is None:
        flow.join(to_claim, answer, 1)
        return
    moved = when("$json.next !== 'answer'")
    finish = flow.add("Moved before?", _IF, 2.2, moved, (7, 2))
    flow.join(to_claim, finish, 1)
    flow.join(finish, end)
    flow.join(finish, answer, 1)
    is_ended = f"$('Decide').first().json.next === 'finish' || ({store.ended})"
    ended = flow.add("Ended?", _IF, 2.2, when(is_ended), (13, 0))
    flow.chain(end, ended, answer)
    flow.join(ended, store.give_back(flow, (14, 2)), 1)
    flow.chain("Give back", _unchanged(flow, store), answer)


def _end_it(flow: Flow, store: Store, decide: str, answer: str) -> None:
    to_end = flow.add("To be ended?", _IF, 2.2, when("$json.next === 'end'"), (6, 0))
    end = store.end(flow, (8, 0), "cancelled")
    ended = flow.add("Ended?", _IF, 2.2, when(store.ended), (13, 0))
    flow.chain(decide, to_end, end, ended, answer)
    flow.join(to_end, answer, 1)
    flow.join(ended, _unchanged(flow, store), 1)
    flow.join("Unchanged", answer)


def _unchanged(flow: Flow, store: Store) -> str:
    code = words.body_of("changed", store.unchanged)
    return flow.add("Unchanged", _SET, 3.4, shaped(code), (15, 2), executeOnce=True)


_TABLE_KEYS = {
    "free": "parleyFreeTimes1",
    "book": "parleyBook000001",
    "move": "parleyMove000001",
    "cancel": "parleyCancel0001",
    "list": "parleyList000001",
}
_TEMPLATES: Mapping[str, tuple[Store, str]] = {
    "google": (Google(), "a Google calendar"),
    "caldav": (CalDav(), "a CalDAV calendar"),
}


def all_workflows() -> dict[str, dict[str, Any]]:
    """Every workflow by the name of its file."""
    tools = {
        each.tool: tool_flow(each, Table(), _TABLE_KEYS[each.key], "", "an n8n Data Table")
        for each in OPERATIONS
    }
    flows = {**tools, **doors.doors(tools, {each.tool: each for each in OPERATIONS})}
    for folder, (store, store_name) in _TEMPLATES.items():
        for number, each in enumerate(OPERATIONS, 1):
            key = f"parley{folder.capitalize()}{number:04}"
            flow = tool_flow(each, store, key, f" in {store_name}", store_name)
            flows[f"templates/{folder}/{each.tool}"] = flow
    return {name: flow.made() for name, flow in flows.items()}
