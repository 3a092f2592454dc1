"""Responses as RFC 3261 (8.2.6) wants them: what is copied from the request, and what is added."""

from __future__ import annotations

from collections.abc import Iterable

from parley.core.errors import IncompatibleAddress, ParleyError
from parley.transports.sip.grammar import quote, split_list
from parley.transports.sip.message import Headers, Request, Response, phrase_of
from parley.transports.sip.sockets import Flow

METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "NOTIFY")
UNSERVED = ("MESSAGE", "PRACK", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE")
ALLOW = ("Allow", ", ".join(METHODS))
ACCEPT = ("Accept", "application/sdp")
PRODUCT = "Parley"

Lines = Iterable[tuple[str, str]]


def reply(
    request: Request,
    status: int,
    tag: str,
    extra: Lines = (),
    *,
    phrase: str = "",
    body: bytes = b"",
) -> Response:
    """The answer to a request. ``tag`` marks our side, where the request didn't do so already.

    Foreign values go back as they came, down to the last space.
    """
    response = Response(Headers(), body, status, phrase or phrase_of(status))
    headers = response.headers
    for value in request.headers.all("via"):
        headers.add("Via", value)
    for name in ("From", "To", "Call-ID", "CSeq"):
        value = request.headers.first(name)
        if name == "To" and status > 100 and tag and not _has_tag(request):
            value += f";tag={tag}"
        headers.add(name, value)
    if request.method == "INVITE" and 100 < status < 300:
        for value in request.headers.all("record-route"):
            headers.add("Record-Route", value)
    if status == 100:
        for value in request.headers.all("timestamp"):
            headers.add("Timestamp", value)
    for name, value in extra:
        headers.add(name, value)
    headers.add("Server", PRODUCT)
    return response


def _has_tag(request: Request) -> bool:
    """Of an unreadable To, whether it looks as if it had one."""
    if request.to is not None:
        return bool(request.to.tag)
    return "tag=" in request.headers.first("to").replace(" ", "").lower()


def stamp(request: Request, flow: Flow) -> None:
    """Note in the top Via where the request came from: its answer goes back there."""
    lines: list[tuple[str, str]] = []
    is_first = True
    for name, value in request.headers:
        if is_first and name.lower() in ("via", "v"):
            is_first = False
            stamped = request.top_via.stamped(flow.host, flow.port)
            value = ", ".join([stamped, *split_list(value)[1:]])
        lines.append((name, value))
    request.headers = Headers(lines)
    request.read_via()


def reason_line(status: int, text: str) -> list[tuple[str, str]]:
    """RFC 3326's Reason, for whoever reads traces on the other side."""
    if not text:
        return []
    return [("Reason", f"SIP;cause={status};text={quote(text)}")]


def warning_line(error: ParleyError) -> list[tuple[str, str]]:
    """What RFC 3261 (20.43) has a number for."""
    if not isinstance(error, IncompatibleAddress):
        return []
    return [("Warning", f"301 {PRODUCT} {quote(error.message)}")]


def retry_line(retry_after_s: float) -> list[tuple[str, str]]:
    return [("Retry-After", str(max(1, round(retry_after_s))))] if retry_after_s else []
