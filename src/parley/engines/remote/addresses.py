"""The addresses of engines that live in other programs, as options take them."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

_HTTP = ("http", "https")
_SOCKET = ("ws", "wss")
_TCP = ("tcp",)
# Set aside for names that mean nothing beyond a network: RFC 6761 and 6762, ICANN's .internal.
_NEARBY_DOMAINS = ("localhost", "local", "internal")


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple):
        return tuple(cast("list[Any]", value))
    raise ValueError("takes a URL or a list of URLs")


def _checked(urls: tuple[str, ...], schemes: tuple[str, ...]) -> tuple[str, ...]:
    if not urls:
        raise ValueError("needs at least one URL")
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in schemes or not parts.hostname:
            starts = " or ".join(f"{scheme}://" for scheme in schemes)
            raise ValueError(f"{without_password(url)} is not a URL that starts with {starts}")
    return tuple(url.rstrip("/") for url in urls)


def _http(urls: tuple[str, ...]) -> tuple[str, ...]:
    return _checked(urls, _HTTP)


def _socket(urls: tuple[str, ...]) -> tuple[str, ...]:
    return _checked(urls, _SOCKET)


def _tcp(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in _checked(urls, _TCP):
        if urlsplit(url).port is None:
            raise ValueError(f"{without_password(url)} needs a port")
    return urls


def _any(urls: tuple[str, ...]) -> tuple[str, ...]:
    return _checked(urls, _HTTP + _SOCKET)


HttpUrls = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_http)]
"""One http(s) URL, a list, or several with commas; without slashes at the end."""
SocketUrls = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_socket)]
"""The same with ws:// and wss://."""
TcpUrls = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_tcp)]
"""The same with tcp://, and a port."""
AnyUrls = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_any)]
"""The same with either."""


def without_password(url: str) -> str:
    """The URL as it may be shown in logs and tables: scheme, host, port and path only."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def is_nearby(url: str) -> bool:
    """Whether the URL names this machine or one of a private network, without asking DNS."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host.rpartition(".")[2] in _NEARBY_DOMAINS or host.endswith(".home.arpa"):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        # A bare name (speaches, ollama) is a neighbour's: public names have a dot.
        return "." not in host
