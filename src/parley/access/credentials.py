"""What a request or a socket shows of who sent it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from parley.settings import is_loopback

SUBPROTOCOL_KEY = "openai-insecure-api-key."
"""How browsers send a key with a WebSocket, where they can set no header."""

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, "" for none, and where it came from.

    ``is_local``: this machine asked, through no proxy, by a name of this machine, and no page of
    another site was behind it.
    """

    token: str = ""
    address: str = ""
    is_local: bool = False


def credentials_of(
    connection: HTTPConnection, *, query: str = "", origins: Sequence[str] = ()
) -> Credentials:
    """Read them from ``Authorization: Bearer``, ``X-API-Key`` or a WebSocket's subprotocols.

    ``query`` names the parameter of the URL, in its query or its path, that may hold the token
    as well, for clients that can send nothing else; ``origins`` are the sites whose pages are
    trusted.
    """
    address = connection.client.host if connection.client else ""
    return Credentials(
        token=_token(connection) or _in_url(connection, query),
        address=address,
        is_local=_is_local(connection, address, origins),
    )


def _token(connection: HTTPConnection) -> str:
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()
    if key := connection.headers.get("x-api-key", "").strip():
        return key
    for offered in connection.headers.get("sec-websocket-protocol", "").split(","):
        if offered.strip().startswith(SUBPROTOCOL_KEY):
            return offered.strip().removeprefix(SUBPROTOCOL_KEY)
    return ""


def _in_url(connection: HTTPConnection, name: str) -> str:
    in_path = str(connection.path_params.get(name, ""))
    return (connection.query_params.get(name, "") or in_path) if name else ""


def _is_local(connection: HTTPConnection, address: str, origins: Sequence[str]) -> bool:
    if not is_loopback(address) or any(name in connection.headers for name in _FORWARDED):
        return False
    # A foreign name that leads to 127.0.0.1 is how a web site gets past the browser's walls.
    if not is_loopback(_host(f"//{connection.headers.get('host', '')}")):
        return False
    origin = connection.headers.get("origin", "")
    return not origin or origin in origins or is_loopback(_host(origin))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
