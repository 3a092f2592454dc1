"""Where a call's sound is taken: by which ports, and by which address the far side knows them."""

from __future__ import annotations

from parley.transports.sip.families import ANY_V4, ANY_V6, ANYWHERE, address_towards, version_of
from parley.transports.sip.rtp.ports import PortRange

_LOOPBACK = {4: "127.0.0.1", 6: "::1"}


class SoundPlaces:
    """Ports in each family of addresses that ``host`` stands for. ``public_host`` is what far
    sides are told instead of our own address, those of its family only where it is no name."""

    def __init__(self, host: str, public_host: str, first: int, last: int) -> None:
        """Raises ``BadSettings``."""
        hosts = (ANY_V4, ANY_V6) if host == ANY_V6 else (host or ANY_V4,)
        self._public_host = public_host
        self._ranges = {
            version_of(each) or 4: PortRange(each, first, last, is_v6_only=True) for each in hosts
        }

    def place(self, own_host: str, far_host: str = "") -> tuple[PortRange, str]:
        """Ports for a call that came to ``own_host`` and whose sound goes to ``far_host``, as far
        as that is known; and the address that the far side is told.

        Where no family fits, it is told of what there is: the negotiation then finds out.
        """
        wanted = version_of(far_host) or version_of(own_host) or 4
        version = wanted if wanted in self._ranges else next(iter(self._ranges))
        ports = self._ranges[version]
        for host in (self._public_host, own_host):
            if host and host not in ANYWHERE and version_of(host) in (None, version):
                return ports, host
        if ports.host not in ANYWHERE:
            return ports, ports.host
        towards = far_host if version_of(far_host) == version else _LOOPBACK[version]
        return ports, address_towards(towards) or _LOOPBACK[version]
