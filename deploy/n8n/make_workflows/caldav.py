"""Appointments in a CalDAV calendar, such as Radicale, Nextcloud or Baïkal: a template.

The address of an event is made of its time, and it is only put where there is none: the server
itself lets one in. Whoever else writes into the calendar blocks times, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from make_workflows.flow import Flow
from make_workflows.stores import At
from make_workflows.words import body_of, expression

CALENDAR = "http://127.0.0.1:5232/parley/appointments"
_FILE = "{{ 'parley-' + $('Asked').first().json.slot.replace(/\\W/g, '') + '.ics' }}"
_STAMP = "toUTC().toFormat(\"yyyyMMdd'T'HHmmss'Z'\")"
_RANGE = (
    f"'start=\"' + DateTime.fromISO($('Asked').first().json.from).{_STAMP} "
    f"+ '\" end=\"' + DateTime.fromISO($('Asked').first().json.to).{_STAMP} + '\"'"
)
# Those that repeat come once for each time that they are.
_REPORT = (
    '={{ \'<?xml version="1.0"?><c:calendar-query xmlns:d="DAV:" '
    'xmlns:c="urn:ietf:params:xml:ns:caldav"><d:prop><c:calendar-data><c:expand \' + '
    + _RANGE
    + ' + \'/></c:calendar-data></d:prop><c:filter><c:comp-filter name="VCALENDAR">'
    '<c:comp-filter name="VEVENT"><c:time-range \' + '
    + _RANGE
    + " + '/></c:comp-filter></c:comp-filter></c:filter></c:calendar-query>' }}"
)


class CalDav:
    """The store of the templates for CalDAV."""

    rows = ("caldav_rows",)
    verdict = "caldav_verdict"
    lost = "refused ?? refuse(t)"
    ended = "$json.statusCode >= 200 && $json.statusCode < 300"
    unchanged = "caldav_unchanged"

    def find(self, flow: Flow, at: At, operation: str) -> str:
        # The node's own list of methods has no REPORT; an expression may give it all the same.
        return self._http(flow, "Find", at, "={{ 'REPORT' }}", f"{CALENDAR}/", {
            **_headers({"Depth": "1"}),
            **_body("application/xml; charset=utf-8", _REPORT),
        })  # fmt: skip

    def claim(self, flow: Flow, at: At) -> str:
        event = _body("text/calendar; charset=utf-8", expression(body_of("caldav_event")))
        more = {**_headers({"If-None-Match": "*"}), **event}
        return self._http(flow, "Claim", at, "PUT", f"={CALENDAR}/{_FILE}", more, answers=True)

    def check(self, flow: Flow, at: At) -> None:
        return None

    def give_way(self, flow: Flow, at: At) -> None:
        return None

    def keep(self, flow: Flow, at: At) -> None:
        return None

    def let_go(self, flow: Flow, at: At) -> None:
        return None

    def end(self, flow: Flow, at: At, why: str) -> str:
        chosen = f"={CALENDAR}/{{{{ encodeURIComponent($('Decide').first().json.old_id) }}}}"
        return self._http(flow, "End old", at, "DELETE", chosen, {}, answers=True)

    def give_back(self, flow: Flow, at: At) -> str:
        return self._http(flow, "Give back", at, "DELETE", f"={CALENDAR}/{_FILE}", {}, answers=True)

    def _http(
        self,
        flow: Flow,
        name: str,
        at: At,
        method: str,
        url: str,
        more: Mapping[str, Any],
        *,
        answers: bool = False,
    ) -> str:
        """``answers``: hand a refusal on as it is. The kind of answer is left for n8n to find out:
        told that it is text, it breaks on one to a body that it was given raw."""
        response = {"fullResponse": True, "neverError": True} if answers else {}
        options: dict[str, Any] = {"timeout": 3000}
        if response:
            options["response"] = {"response": response}
        given = {
            "method": method,
            "url": url,
            "authentication": "genericCredentialType",
            "genericAuthType": "httpBasicAuth",
            **more,
            "options": options,
        }
        return flow.add(
            name, "n8n-nodes-base.httpRequest", 4.2, given, at,
            credential="httpBasicAuth", alwaysOutputData=True, executeOnce=True,
        )  # fmt: skip


def _headers(named: Mapping[str, str]) -> dict[str, Any]:
    listed = [{"name": name, "value": value} for name, value in named.items()]
    return {"sendHeaders": True, "headerParameters": {"parameters": listed}}


def _body(kind: str, content: str) -> dict[str, Any]:
    return {"sendBody": True, "contentType": "raw", "rawContentType": kind, "body": content}
