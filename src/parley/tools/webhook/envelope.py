"""The envelope: what a tool at a URL is sent, and how it answers.

The request is JSON: ``{"version": 1, "run_id", "call_id", "session_id", "tenant", "agent", "tool",
"deadline_ms", "locale", "timezone", "idempotency_key", "callback_url", "args": {…}}``.

An answer is ``{"ok": true, "result": …, "say": "…"}`` or ``{"ok": false, "error": {"code",
"message", "retryable"}, "say": "…"}``, with status 200; ``{"ok": true, "pending": true, "say":
"…"}`` with status 202 says that the answer comes later, to ``callback_url`` + ``/answer``. Where
that is signed, it has the request's ``run_id`` in it: what was signed is good for one run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from parley.core.errors import BadRequest

VERSION = 1
LONGEST_SENTENCE = 500


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is sent for one use of a tool."""

    run_id: str
    call_id: str
    tenant: str
    agent: str
    tool: str
    deadline_ms: int
    locale: str
    timezone: str
    idempotency_key: str
    callback_url: str
    args: Mapping[str, Any]

    def body(self) -> bytes:
        fields = {
            "version": VERSION,
            "run_id": self.run_id,
            "call_id": self.call_id,
            "session_id": self.call_id,
            "tenant": self.tenant,
            "agent": self.agent,
            "tool": self.tool,
            "deadline_ms": self.deadline_ms,
            "locale": self.locale,
            "timezone": self.timezone,
            "idempotency_key": self.idempotency_key,
            "callback_url": self.callback_url,
            "args": dict(self.args),
        }
        return json.dumps(fields, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """How a tool answered. ``say`` is what it suggests to tell the caller."""

    ok: bool
    result: Any = None
    say: str = ""
    error_code: str = ""
    error: str = ""
    can_retry: bool = False
    is_pending: bool = False

    @classmethod
    def read(cls, body: object) -> RunAnswer:
        """Raises ``BadRequest`` that says what is wrong with it."""
        if not isinstance(body, dict):
            raise BadRequest("An answer must be a JSON object.", hint=_FORM)
        fields = cast("dict[str, Any]", body)
        ok = fields.get("ok")
        if not isinstance(ok, bool):
            raise BadRequest('An answer needs "ok": true or false.', param="ok", hint=_FORM)
        say = _sentence(fields, "say")
        if ok:
            pending = fields.get("pending", False)
            if not isinstance(pending, bool):
                raise BadRequest('"pending" must be true or false.', param="pending", hint=_FORM)
            return cls(True, result=fields.get("result"), say=say, is_pending=pending)
        error = fields.get("error")
        if not isinstance(error, dict):
            raise BadRequest('An answer with "ok": false needs "error".', param="error", hint=_FORM)
        problem = cast("dict[str, Any]", error)
        code = _sentence(problem, "code") or "failed"
        message = _sentence(problem, "message")
        return cls(
            False,
            say=say,
            error_code=code,
            error=message,
            can_retry=problem.get("retryable") is True,
        )

    def fields(self) -> dict[str, Any]:
        """The answer as it is written down."""
        if self.ok:
            found: dict[str, Any] = {"ok": True, "result": self.result}
        else:
            problem = {"code": self.error_code, "message": self.error, "retryable": self.can_retry}
            found = {"ok": False, "error": problem}
        return {**found, "say": self.say} if self.say else found


_FORM = 'Answer {"ok": true, "result": …} or {"ok": false, "error": {"code": "…", "message": "…"}}.'


def _sentence(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f'"{name}" must be text.', param=name, hint=_FORM)
    words = " ".join(value.split())
    return words if len(words) <= LONGEST_SENTENCE else words[: LONGEST_SENTENCE - 1] + "…"
