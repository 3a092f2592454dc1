"""Whose packets a call listens to, and where its own go: an address that a stranger can't move."""

from __future__ import annotations

from parley.transports.sip.agreement import Address

# So long the address in the SDP may still take the place of one that was quicker.
SETTLING_S = 3.0
# A source that has been silent for so long may have moved.
SILENCE_S = 5.0


class Latch:
    """Takes the first valid source, or the one that the SDP names, and stays with it.

    Callers behind a NAT send from elsewhere than their SDP says. It opens again when the SDP names
    another address. When the source has been silent, as on hold, it opens a little: for the same
    stream, whose number a stranger can't know, or for the same host.
    """

    def __init__(self) -> None:
        self.source: Address | None = None
        """Where packets come from; None until some have come."""
        self._named: Address | None = None
        self._ssrc: int | None = None
        self._settled_s = 0.0
        self._heard_s = 0.0

    @property
    def target(self) -> Address | None:
        """Where to send."""
        return self.source or self._named

    def name(self, address: Address | None, now_s: float) -> None:
        """What the SDP says. The same address once more moves nothing."""
        if address == self._named and self._settled_s:
            return
        self._named = address
        self._settled_s = now_s + SETTLING_S
        self.source = None

    def admits(self, address: Address, now_s: float) -> bool:
        """Whether a packet from there deserves to be looked at."""
        return (
            self.source is None
            or address == self.source
            or (address == self._named and now_s < self._settled_s)
            or now_s - self._heard_s >= SILENCE_S
        )

    def believes(self, address: Address, ssrc: int) -> bool:
        """Whether a packet that was admitted may be the caller's."""
        if self.source is None or address == self._named or ssrc == self._ssrc:
            return True
        return address[0] == self.source[0]

    def hear(self, address: Address, now_s: float, ssrc: int) -> None:
        """A valid packet came that is believed."""
        self.source = address
        self._heard_s = now_s
        self._ssrc = ssrc
