"""Appointments in an n8n Data Table, which needs no account and no other service.

Nothing in a Data Table is unique, so whoever books writes a claim, then looks whose is the first,
and looks again while somebody may not have seen theirs. Rows are never deleted: a repeated request
finds what came of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from make_workflows.flow import Flow
from make_workflows.stores import At

TABLE = "parley_appointments"
COLUMNS = ("slot", "day", "name", "person", "state", "run_key", "moved_from", "ended_by")
_TABLE_ID = {"__rl": True, "mode": "name", "value": TABLE}
_KIND, _VERSION = "n8n-nodes-base.dataTable", 1.1


class Table:
    """The store of the workflows that are ready to use."""

    rows = ("table_rows",)
    verdict = "table_verdict"
    lost = "refuse(t)"
    ended = "$json.ended_by === $('Asked').first().json.key"
    unchanged = "table_unchanged"

    def find(self, flow: Flow, at: At, operation: str) -> str:
        asked = {
            "free": {"day": "day"},
            "book": {"day": "day", "run_key": "key"},
            "move": {"person": "person", "day": "day", "run_key": "key"},
            "cancel": {"person": "person", "ended_by": "key"},
            "list": {"person": "person"},
        }[operation]
        return self._get(flow, "Find", at, {column: _asked(name) for column, name in asked.items()})

    def claim(self, flow: Flow, at: At) -> str:
        value = {
            name: _asked(name if name != "run_key" else "key")
            for name in ("day", "name", "person", "run_key")
        } | {
            "slot": f"{_asked('slot')}/PT{_asked('length')[1:]}M",
            "state": "claimed",
            "moved_from": "={{ String($('Decide').first().json.old_id ?? '') }}",
            "ended_by": "",
        }
        return self._row(flow, "Claim", at, "insert", {"columns": _columns(value)})

    def check(self, flow: Flow, at: At) -> str:
        return self._get(flow, "Check", at, {"day": _asked("day")})

    def give_way(self, flow: Flow, at: At) -> str:
        chosen = "={{ $('Verdict').first().json.gives_way }}"
        return self._update(flow, "Give way", at, chosen, "claimed", {"state": "lost"})

    def keep(self, flow: Flow, at: At) -> str:
        chosen = "={{ $('Verdict').first().json.row_id }}"
        return self._update(flow, "Keep", at, chosen, "claimed", {"state": "booked"})

    def let_go(self, flow: Flow, at: At) -> str:
        chosen = "={{ $('Claim').first().json.id }}"
        return self._update(flow, "Let go", at, chosen, "claimed", {"state": "lost"})

    def end(self, flow: Flow, at: At, why: str) -> str:
        chosen = "={{ $('Decide').first().json.old_id }}"
        value = {"state": why, "ended_by": _asked("key")}
        return self._update(flow, "End old", at, chosen, "booked", value)

    def give_back(self, flow: Flow, at: At) -> str:
        step = "($('Verdict').isExecuted ? $('Verdict') : $('Decide'))"
        chosen = f"={{{{ {step}.first().json.row_id }}}}"
        return self._update(flow, "Give back", at, chosen, "booked", {"state": "lost"})

    def _get(self, flow: Flow, name: str, at: At, conditions: Mapping[str, str]) -> str:
        parameters = {
            "matchType": "anyCondition",
            "filters": _conditions(conditions),
            "returnAll": True,
        }
        return self._row(flow, name, at, "get", parameters)

    def _update(
        self, flow: Flow, name: str, at: At, row: str, state: str, value: Mapping[str, str]
    ) -> str:
        parameters = {
            "matchType": "allConditions",
            "filters": _conditions({"id": row, "state": state}),
            "columns": _columns(value),
        }
        return self._row(flow, name, at, "update", parameters)

    def _row(
        self, flow: Flow, name: str, at: At, operation: str, parameters: Mapping[str, Any]
    ) -> str:
        given = {"resource": "row", "operation": operation, "dataTableId": _TABLE_ID, **parameters}
        # What finds nothing must not end the run: its last node has the answer.
        return flow.add(name, _KIND, _VERSION, given, at, alwaysOutputData=True, executeOnce=True)


def _asked(name: str) -> str:
    return f"={{{{ $('Asked').first().json.{name} }}}}"


def _conditions(wanted: Mapping[str, str]) -> dict[str, Any]:
    return {
        "conditions": [
            {"keyName": column, "condition": "eq", "keyValue": value}
            for column, value in wanted.items()
        ]
    }


def _columns(value: Mapping[str, str]) -> dict[str, Any]:
    schema = [
        {
            "id": name,
            "displayName": name,
            "type": "string",
            "required": False,
            "defaultMatch": False,
            "display": True,
            "readOnly": False,
            "removed": name not in value,
        }
        for name in COLUMNS
    ]
    return {
        "mappingMode": "defineBelow",
        "value": dict(value),
        "matchingColumns": [],
        "schema": schema,
        "attemptToConvertTypes": False,
        "convertFieldsToString": False,
    }
