"""IPv4 and IPv6: which of them an address is of, where to listen for both, what reaches whom."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from parley.core.errors import BadOffer
from parley.transports.sip.addresses import without_zone
from parley.transports.sip.sdp import read_description

ANY_V4, ANY_V6 = "0.0.0.0", "::"
"""Every address of this machine. ``::`` as a setting stands for both."""
ANYWHERE = ("", ANY_V4, ANY_V6)


def version_of(host: str) -> int | None:
    """4 or 6; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]")).version
    except ValueError:
        return None


def address_towards(host: str) -> str:
    """The address that this machine sends from to that one; "" where there is no way. Nothing is
    sent to find out, and no name is looked up."""
    version = version_of(host)
    if version is None:
        return ""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((host, 9))
            return without_zone(str(probe.getsockname()[0]))
    except OSError:
        return ""


def sound_host(offer: str) -> str:
    """Where the sound of a call is to be sent by its offer; "" where that says nothing."""
    try:
        media = read_description(offer).media if offer else ()
    except BadOffer:
        return ""
    return next((each.host for each in media if each.kind == "audio"), "")


async def listened_at(host: str) -> list[str]:
    """The addresses behind a setting's host, at least one. A name stands for its IPv4 addresses,
    or those of IPv6 where it has no other. Raises ``OSError``."""
    if host in ANYWHERE:
        return [ANY_V6, ANY_V4] if host == ANY_V6 else [ANY_V4]
    if version_of(host) is not None:
        return [host]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    hosts = dict.fromkeys(str(each[4][0]) for each in found)
    return [each for each in hosts if version_of(each) == 4] or list(hosts)


def open_datagrams(host: str, port: int) -> socket.socket:
    """A UDP socket for messages at one address; IPv6's takes nothing of IPv4. Raises
    ``OSError``."""
    is_v6 = version_of(host) == 6
    opened = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        if is_v6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, port))
    except BaseException:
        opened.close()
        raise
    return opened
