"""A call over a PCM socket as the session sees it: sound in both directions, and keys."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, cast

from parley.core.call import Ability
from parley.core.errors import CallNotLive
from parley.core.events import DtmfReceived
from parley.core.log import get_logger
from parley.transports.keypad import DIGITS, check_digits
from parley.transports.rate import Rate
from parley.transports.socket_media import PcmSocketMedia
from parley.transports.wheel import Wheel

log = get_logger(__name__)

SILENT_S = 60.0
"""A PBX sends no sound for so long only when its call is over, or held for good."""
LONGEST_KEYS = 64
MOST_KEYS_PER_S = 64.0
"""Ten times what people press; what comes faster is no keypad, and is passed over."""


class PcmMedia(PcmSocketMedia):
    """Implements ``CallMedia``. Keys come and go as JSON beside the sound; ``on_over`` is called
    once, when all is free."""

    abilities: frozenset[Ability] = frozenset({"digits"})

    def __init__(
        self,
        call_id: str,
        wheel: Wheel,
        *,
        voice_rate_hz: int,
        call_s: float = 0.0,
        on_over: Callable[[str], None],
    ) -> None:
        # A stream: what the far side cuts in two is one sound.
        super().__init__(
            call_id,
            wheel,
            rate_hz=voice_rate_hz,
            silent_s=SILENT_S,
            call_s=call_s,
            is_stream=True,
        )
        self._on_over = on_over
        self._keys = Rate(MOST_KEYS_PER_S, time.monotonic)

    def free(self) -> None:
        self._on_over(self.call_id)

    async def send_dtmf(self, digits: str) -> None:
        digits = check_digits(digits)
        if self.line is None:
            raise CallNotLive("The call is over.")
        self.line.send(json.dumps({"type": "dtmf", "digit": digits}))

    def read(self, text: str) -> None:
        """A text message: keys that the caller pressed. All else is passed over."""
        for digit in _keys(text):
            if self._keys.take():
                self._announce(DtmfReceived(call_id=self.call_id, digit=digit))


def _keys(text: str) -> str:
    """``{"type": "dtmf", "digit": "5"}``, in capitals; "" for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    message = cast(dict[str, Any], found) if isinstance(found, dict) else {}
    if message.get("type") != "dtmf":
        log.debug("pcm_message_unknown", type=str(message.get("type"))[:40])
        return ""
    pressed = message.get("digit")
    if not isinstance(pressed, str):
        return ""
    return "".join(digit for digit in pressed.upper()[:LONGEST_KEYS] if digit in DIGITS)
