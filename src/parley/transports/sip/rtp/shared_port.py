"""One UDP port for the sound of many callers, told apart by where they send from."""

from __future__ import annotations

import asyncio
import socket
from functools import partial

from parley.core.errors import BadSettings
from parley.transports.sip.agreement import Address
from parley.transports.sip.rtp.wire import Take, Wire, open_socket, read_one


class SharedPort:
    """Sound comes to ``port`` and reports to the one above it.

    What a source sends that has no branch goes to ``on_stranger``; its reports are nobody's.
    """

    def __init__(self, host: str, port: int, on_stranger: Take) -> None:
        self.host = host
        self.port = port
        self._on_stranger = on_stranger
        self._branches: dict[Address, Branch] = {}
        self._rtp: socket.socket | None = None
        self._rtcp: socket.socket | None = None

    def open(self) -> None:
        """Raises ``BadSettings``."""
        try:
            self._rtp = open_socket(self.host, self.port)
            self._rtcp = open_socket(self.host, self.port + 1)
        except OSError as error:
            self.close()
            raise BadSettings(
                f"Sound can't be taken at {self.host}, ports {self.port} and {self.port + 1}: "
                f"{error.strerror or error}.",
                hint="Set RTP_PORT to the first of two free ports, and RTP_BIND_IP to an address "
                "of this machine.",
            ) from error
        loop = asyncio.get_running_loop()
        loop.add_reader(self._rtp, partial(read_one, self._rtp, self._sort))
        loop.add_reader(self._rtcp, partial(read_one, self._rtcp, self._sort_report))

    def close(self) -> None:
        for opened in (self._rtp, self._rtcp):
            if opened is not None:
                asyncio.get_running_loop().remove_reader(opened)
                opened.close()
        self._rtp = self._rtcp = None

    def branch(self, source: Address) -> Branch:
        """The way to one caller. It holds from when a line takes it until that gives it back."""
        return Branch(self, source)

    def join(self, branch: Branch) -> None:
        self._branches[branch.source] = branch

    def leave(self, branch: Branch) -> None:
        if self._branches.get(branch.source) is branch:
            del self._branches[branch.source]

    def send_rtp(self, data: bytes, target: Address) -> None:
        if self._rtp is not None:
            self._rtp.sendto(data, target)

    def send_rtcp(self, data: bytes, target: Address) -> None:
        if self._rtcp is not None:
            self._rtcp.sendto(data, target)

    def _sort(self, data: bytes, address: Address) -> None:
        branch = self._branches.get(address)
        (self._on_stranger if branch is None else branch.on_rtp)(data, address)

    def _sort_report(self, data: bytes, address: Address) -> None:
        branch = self._branches.get((address[0], address[1] - 1))
        if branch is not None:
            branch.on_rtcp(data, address)


class Branch:
    """One caller's part of a shared port: a ``Wire``, and the ``Wires`` that gives it."""

    def __init__(self, shared: SharedPort, source: Address) -> None:
        self.source = source
        self.on_rtp: Take = _nobody
        self.on_rtcp: Take = _nobody
        self._shared = shared

    @property
    def host(self) -> str:
        return self._shared.host

    @property
    def port(self) -> int:
        return self._shared.port

    def take(self) -> Branch:
        return self

    def release(self, wire: Wire) -> None:
        wire.close()

    def listen(self, on_rtp: Take, on_rtcp: Take) -> None:
        self.on_rtp, self.on_rtcp = on_rtp, on_rtcp
        self._shared.join(self)

    def mute(self) -> None:
        self.on_rtp = self.on_rtcp = _nobody

    def close(self) -> None:
        self._shared.leave(self)

    def send_rtp(self, data: bytes, target: Address) -> None:
        self._shared.send_rtp(data, target)

    def send_rtcp(self, data: bytes, target: Address) -> None:
        self._shared.send_rtcp(data, target)


def _nobody(_data: bytes, _address: Address) -> None:
    """Nobody listens, not yet or no longer."""
