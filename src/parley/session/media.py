"""What the session needs of a transport: sound both ways, and what else it can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pipecat.processors.frame_processor import FrameProcessor

from parley.core.call import Ability, EndReason
from parley.core.errors import NotSupported
from parley.core.events import Event
from parley.session.dialling import Answerer


class CallMedia(Protocol):
    """One call's media. A transport makes it, hands it to ``SessionHost.start`` and forgets it.

    ``input()`` pushes ``InputAudioRawFrame`` at 16 kHz mono; ``output()`` is a Pipecat output
    transport that takes audio at ``output_rate_hz``. Both are made once.
    """

    output_rate_hz: int
    uses_rtvi: bool
    abilities: frozenset[Ability]
    """What it can do besides carrying sound; the rest raises ``NotSupported``."""

    def input(self) -> FrameProcessor: ...

    def output(self) -> FrameProcessor: ...

    async def connected(self) -> None:
        """Return when sound can flow both ways; raise if that can't come about in time."""
        ...

    async def answered_by(self) -> Answerer | None:
        """Who took a call that goes out, once that is known; None where nobody asked."""
        ...

    async def machine_listens(self) -> None:
        """Return when the answering machine takes a message: its tone came, or it fell silent."""
        ...

    async def gone(self) -> EndReason:
        """Return when the far side has left for good (``caller``), or was lost (``error``), or
        when the transport goes down itself (``drain``)."""
        ...

    @property
    def played_ms(self) -> int:
        """Milliseconds of the present utterance (or the last, in silence) that have gone out."""
        ...

    def clear(self) -> int:
        """Throw away sound that is queued but not yet sent; return ``played_ms``. The output
        does so by itself when an interruption reaches it."""
        ...

    async def send_dtmf(self, digits: str) -> None: ...

    async def hold(self) -> None: ...

    async def resume(self) -> None: ...

    async def transfer(self, target: str) -> None: ...

    async def hang_up(self, reason: EndReason) -> None:
        """Tell the far side that the call is over and let go of everything. May be repeated."""
        ...

    def listen(self, announce: Callable[[Event], None]) -> None:
        """Tell ``announce`` what only the transport knows: keys pressed, hold, sound skipped."""
        ...

    async def deliver(self, event: Event) -> None:
        """One of this call's own events, in order, none missing."""
        ...


class PlainMedia:
    """The answers of a transport that has no telephone functions; transports inherit them."""

    output_rate_hz = 24_000
    uses_rtvi = False
    abilities: frozenset[Ability] = frozenset()

    async def send_dtmf(self, digits: str) -> None:
        raise NotSupported(f"{type(self).__name__} can't send DTMF.")

    async def hold(self) -> None:
        raise NotSupported(f"{type(self).__name__} can't hold a call.")

    async def resume(self) -> None:
        raise NotSupported(f"{type(self).__name__} can't resume a call.")

    async def transfer(self, target: str) -> None:
        raise NotSupported(f"{type(self).__name__} can't transfer a call.")

    async def answered_by(self) -> Answerer | None:
        return None

    async def machine_listens(self) -> None:
        return None

    def listen(self, announce: Callable[[Event], None]) -> None:
        return None

    async def deliver(self, event: Event) -> None:
        return None
