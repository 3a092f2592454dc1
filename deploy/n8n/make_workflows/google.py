"""Appointments in a Google calendar: a template, for whoever has connected n8n with Google.

Google lets two events lie at the same time, so here, too, whoever books looks afterwards who was
first. An event that is cancelled is deleted: asked again, there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from make_workflows.flow import Flow
from make_workflows.stores import At

_CALENDAR = {"__rl": True, "mode": "id", "value": "primary"}
_DESCRIPTION = (
    "=parley-key: {{ $('Asked').first().json.key }}\n"
    "parley-person: {{ $('Asked').first().json.person }}\n"
    "parley-moved-from: {{ $('Decide').first().json.old_id ?? '' }}"
)


class Google:
    """The store of the templates for Google Calendar."""

    rows = ("google_rows",)
    verdict = "google_verdict"
    lost = "refuse(t)"
    ended = "!$json.error"
    unchanged = "google_unchanged"

    def find(self, flow: Flow, at: At, operation: str) -> str:
        return self._list(flow, "Find", at, _asked("from"), _asked("to"))

    def claim(self, flow: Flow, at: At) -> str:
        return self._event(flow, "Claim", at, "create", {
            "start": _asked("starts"),
            "end": _asked("ends"),
            "additionalFields": {"summary": _asked("name"), "description": _DESCRIPTION},
        })  # fmt: skip

    def check(self, flow: Flow, at: At) -> str:
        return self._list(flow, "Check", at, _asked("starts"), _asked("ends"))

    def give_way(self, flow: Flow, at: At) -> None:
        return None

    def keep(self, flow: Flow, at: At) -> None:
        return None

    def let_go(self, flow: Flow, at: At) -> str:
        chosen = "={{ $('Verdict').first().json.row_id }}"
        return self._event(flow, "Let go", at, "delete", {"eventId": chosen, "options": {}})

    def end(self, flow: Flow, at: At, why: str) -> str:
        chosen = "={{ $('Decide').first().json.old_id }}"
        more = {"eventId": chosen, "options": {}}
        # It may be gone already: what that means is told by what comes next.
        return self._event(flow, "End old", at, "delete", more, onError="continueRegularOutput")

    def give_back(self, flow: Flow, at: At) -> str:
        chosen = "={{ $('Verdict').first().json.row_id }}"
        more = {"eventId": chosen, "options": {}}
        return self._event(flow, "Give back", at, "delete", more)

    def _list(self, flow: Flow, name: str, at: At, earliest: str, latest: str) -> str:
        return self._event(flow, name, at, "getAll", {
            "returnAll": True,
            "timeMin": earliest,
            "timeMax": latest,
            "options": {"recurringEventHandling": "expand"},
        })  # fmt: skip

    def _event(
        self,
        flow: Flow,
        name: str,
        at: At,
        operation: str,
        parameters: Mapping[str, Any],
        **more: Any,
    ) -> str:
        given = {
            "resource": "event",
            "operation": operation,
            "calendar": _CALENDAR,
            **parameters,
        }
        return flow.add(
            name, "n8n-nodes-base.googleCalendar", 1.3, given, at,
            credential="googleCalendarOAuth2Api", alwaysOutputData=True, executeOnce=True, **more,
        )  # fmt: skip


def _asked(name: str) -> str:
    return f"={{{{ $('Asked').first().json.{name} }}}}"
