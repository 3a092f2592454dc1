"""A small OpenSIPS: its management interface and its session events, as they were recorded.

It keeps to what real ones were seen to do (3.4.18 to 4.1.0-dev) and to what their sources say: sets
of parameters are matched exactly; a session that was never answered can't be hung up, and one that
was refused stays; headers without a body go out as whatever was in memory; a CANCEL gets no 487
by itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

EVENT = "E_UA_SESSION"
LOOPBACK = "127.0.0.1"

_REPLY = {"key", "method", "code", "reason"}
_UPDATE = {"key", "method"}
_CONTENT = [
    set[str](),
    {"body"},
    {"extra_headers"},
    {"body", "extra_headers"},
    {"body", "content_type"},
    {"body", "content_type", "extra_headers"},
]
_RECIPES: dict[str, list[set[str]]] = {
    "event_subscribe": [{"event", "socket"}, {"event", "socket", "expire"}],
    "ua_session_reply": [_REPLY | content for content in _CONTENT],
    "ua_session_update": [_UPDATE | content for content in _CONTENT],
    "ua_session_terminate": [{"key"}, {"key", "extra_headers"}],
    "ua_session_list": [set(), {"key"}],
}


class Refused(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.error = {"code": code, "message": text}


@dataclass(frozen=True)
class Message:
    """What OpenSIPS sent to the caller."""

    method: str
    status: int = 0
    reason: str = ""
    headers: str = ""
    body: str = ""


@dataclass
class Session:
    """``state`` is ``ringing``, ``answered``, ``refused`` or ``over``."""

    key: str
    call_id: str
    state: str = "ringing"
    sent: list[Message] = field(default_factory=list[Message])


class FakeOpenSips(asyncio.DatagramProtocol):
    """``commands`` are all that came in, ``sessions`` those that are kept in memory, and ``past``
    those that were forgotten."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.subscribers: dict[str, int] = {}
        self.sessions: dict[str, Session] = {}
        self.past: dict[str, Session] = {}
        self.is_silent = False
        self.refuses: set[str] = set()
        self.lists_at_most = 140
        """How many sessions a datagram holds; a list of more is answered without its number."""
        self.loses = 0
        """How many of the next commands get lost on their way."""
        self.on_command: Callable[[str, dict[str, Any]], None] = lambda name, given: None
        self.port = 0
        self.changed = asyncio.Event()
        self._numbers = count(1)
        self._wire: asyncio.DatagramTransport | None = None

    async def open(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._wire, _ = await loop.create_datagram_endpoint(lambda: self, (LOOPBACK, port))
        self.port = self._wire.get_extra_info("sockname")[1]

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()

    def restart(self, *, keeps_sessions: bool = False) -> None:
        """Everything that was in memory is gone."""
        self.subscribers.clear()
        if not keeps_sessions:
            self.sessions.clear()

    # ── commands ─────────────────────────────────────────────────────────────────────────

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.is_silent:
            return
        if self.loses:
            self.loses -= 1
            return
        asked = json.loads(data)
        name, given = asked["method"], asked.get("params", {})
        self.commands.append((name, given))
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
        if name == "ua_session_list" and len(self.sessions) > self.lists_at_most:
            answer |= {"id": None, "error": {"code": -32603, "message": "Internal error"}}
            self.send(json.dumps(answer).encode(), addr)
            return
        try:
            answer["result"] = self._do(name, given)
        except Refused as error:
            answer["error"] = error.error
        self.send(json.dumps(answer).encode(), addr)
        self.on_command(name, given)
        self.changed.set()

    def send(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._wire is not None
        self._wire.sendto(data, addr)

    def _do(self, name: str, given: dict[str, Any]) -> Any:
        if name not in _RECIPES or name in self.refuses:
            raise Refused(-32601, "Method not found")
        if set(given) not in _RECIPES[name]:
            raise Refused(-32602, "Too few or too many parameters")
        return getattr(self, f"_do_{name}")(given)

    def _do_event_subscribe(self, given: dict[str, Any]) -> str:
        socket = given["socket"]
        if given["event"] != EVENT or not socket.startswith("udp:"):
            raise Refused(400, "Bad parameter value")
        if int(given.get("expire", 3600)):
            self.subscribers[socket] = int(given.get("expire", 3600))
        else:
            self.subscribers.pop(socket, None)
        return "OK"

    def _do_ua_session_reply(self, given: dict[str, Any]) -> str:
        session, code = self.sessions.get(given["key"]), int(given["code"])
        if session is None:
            raise Refused(500, "Failed to send reply")
        message = Message(
            given["method"], code, given["reason"], _headers(given), given.get("body", "")
        )
        if given["method"] == "INVITE" and session.state == "ringing" and code >= 200:
            session.state = "answered" if code < 300 else "refused"
        session.sent.append(message)
        return "OK"

    def _do_ua_session_update(self, given: dict[str, Any]) -> str:
        session = self.sessions.get(given["key"])
        if session is None or session.state != "answered":
            raise Refused(500, "Failed to send sequential request")
        headers = given.get("content_type", "") + _headers(given)
        session.sent.append(Message(given["method"], 0, "", headers, given.get("body", "")))
        return "OK"

    def _do_ua_session_terminate(self, given: dict[str, Any]) -> str:
        session = self.sessions.get(given["key"])
        if session is None or session.state == "ringing":
            raise Refused(500, "Failed to terminate session")
        if session.state == "answered":
            session.sent.append(Message("BYE", 0, "", _headers(given)))
        self._forget(session)
        return "OK"

    def _do_ua_session_list(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"dlg": 1, "state": 1, "callid": each.call_id, "from_tag": "f", "to_tag": each.key}
            for each in self.sessions.values()
        ]

    def _forget(self, session: Session) -> None:
        session.state = "over"
        self.past[session.key] = self.sessions.pop(session.key)

    # ── callers ──────────────────────────────────────────────────────────────────────────

    def invite(self, body: str = "", *, to: str = "tester", **changes: str) -> Session:
        """Somebody calls; the script begins a session for it."""
        session = self.add_session()
        lines = changes.get("lines", "")
        headers = (
            f"From: <sip:phone@{LOOPBACK}>;tag=f\r\nTo: <sip:{to}@{LOOPBACK}>\r\n"
            f"Call-ID: {session.call_id}\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        )
        kept = body if changes.get("flags", "b") else ""
        extra = changes.get("extra")
        self.tell(session, "NEW", "INVITE", headers=headers, body=kept, extra_params=extra)
        return session

    def add_session(self) -> Session:
        """A session that nobody is told of."""
        number = next(self._numbers)
        session = Session(f"B2B.{number}.232.1795219130.1908495923", f"call-{number}@phone")
        self.sessions[session.key] = session
        return session

    def hang_up(self, session: Session) -> None:
        """The caller says BYE: OpenSIPS answers by itself, and forgets the session."""
        self.tell(session, "TERMINATED", "BYE")
        self._forget(session)

    def cancel(self, session: Session) -> None:
        """The caller gives up: only the CANCEL is answered."""
        self.tell(session, "TERMINATED", "CANCEL")

    def tell(self, session: Session, kind: str, method: str, **more: Any) -> None:
        """Raise an event: every subscriber gets it."""
        params = {
            "key": session.key,
            "entity_type": "UAS",
            "event_type": kind,
            "status": 0,
            "reason": None,
            "method": method,
            "body": "",
            "headers": "",
            "extra_params": None,
            **more,
        }
        notice = {"jsonrpc": "2.0", "method": EVENT, "params": params}
        self.shout(json.dumps(notice).encode())

    def shout(self, data: bytes) -> None:
        for socket in self.subscribers:
            host, _, port = socket.removeprefix("udp:").rpartition(":")
            self.send(data, (host.strip("[]"), int(port)))

    # ── watching ─────────────────────────────────────────────────────────────────────────

    def names(self) -> list[str]:
        return [name for name, _ in self.commands]

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not what():
                self.changed.clear()
                await self.changed.wait()

    async def sent(self, session: Session, *wanted: int | str) -> Message:
        """The first message to the caller with one of these statuses, or of these methods."""

        def found() -> list[Message]:
            return [
                each
                for each in session.sent
                if each.status in wanted or (not each.status and each.method in wanted)
            ]

        await self.until(lambda: bool(found()))
        return found()[0]

    async def forgotten(self, session: Session) -> None:
        await self.until(lambda: session.key in self.past)


def _headers(given: dict[str, Any]) -> str:
    headers = given.get("extra_headers", "")
    return headers if "body" in given else "\x7f" * len(headers)


@asynccontextmanager
async def fake_opensips(port: int = 0) -> AsyncIterator[FakeOpenSips]:
    opensips = FakeOpenSips()
    await opensips.open(port)
    try:
        yield opensips
    finally:
        opensips.close()
