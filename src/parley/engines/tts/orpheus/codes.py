"""From the talker's tokens to frames of SNAC codes, whatever the model writes in between.

A frame is seven tokens; the one in slot ``p`` with code ``c`` has the id ``128266 + 4096·p + c``.
The slot is read from the id, never counted: a token too many or too few costs one frame and not
the rest of the utterance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

FIRST_CUSTOM: Final = 128_256
"""``<custom_token_N>`` has the id ``FIRST_CUSTOM + N``."""
BEGIN_OF_TEXT: Final = 128_000
END_OF_TEXT: Final = 128_009
START_OF_SPEECH: Final = 128_257
END_OF_SPEECH: Final = 128_258
START_OF_HUMAN: Final = 128_259
END_OF_HUMAN: Final = 128_260
START_OF_AI: Final = 128_261
END_OF_AI: Final = 128_262
FIRST_AUDIO: Final = 128_266
SLOTS: Final = 7
CODES: Final = 4096
LAST_AUDIO: Final = FIRST_AUDIO + SLOTS * CODES - 1

FRAME_SAMPLES: Final = 2048
RATE_HZ: Final = 24_000
TOKENS_PER_S: Final = SLOTS * RATE_HZ / FRAME_SAMPLES
FRAME_MS: Final = FRAME_SAMPLES * 1000 / RATE_HZ

MOST_STRAY = 10 * SLOTS
"""So many tokens in a row without a whole frame, and the model is no longer speaking."""

_TOKEN = re.compile(r"<custom_token_(\d{1,6})>|<\|eot_id\|>")
# The beginning of a token that the next chunk may end.
_CUT = re.compile(r"<(?:c[custom_token0-9]{0,19}|\|[eot_id|]{0,8})?$")

Frame = tuple[int, int, int, int, int, int, int]


def token_id(slot: int, code: int) -> int:
    """The id of the token that stands for ``code`` in ``slot``."""
    return FIRST_AUDIO + CODES * slot + code


class FrameParser:
    """Puts tokens together to frames. ``has_ended`` once the model has said that it is done.

    After a token in the wrong slot it drops the frame it was at and waits for the next slot 0:
    a resync. ``is_derailed`` after more than ``most_resyncs`` of those, or a long run of tokens
    that gave no frame.
    """

    def __init__(self, most_resyncs: int = 5) -> None:
        self._most_resyncs = most_resyncs
        self._partial: list[int] = []
        self._is_lost = False
        self._has_begun = False
        self._stray = 0
        self.frames = 0
        self.tokens = 0
        self.resyncs = 0
        self.has_ended = False

    @property
    def is_derailed(self) -> bool:
        return self.resyncs > self._most_resyncs or self._stray > MOST_STRAY

    @property
    def is_over(self) -> bool:
        return self.has_ended or self.is_derailed

    def push(self, tokens: Iterable[int]) -> Iterator[Frame]:
        """The frames that these tokens complete; what follows the end is not looked at."""
        for token in tokens:
            if self.is_over:
                return
            self.tokens += 1
            frame = self._take(token)
            if frame is not None:
                self.frames += 1
                self._stray = 0
                yield frame

    def _take(self, token: int) -> Frame | None:
        if token in (END_OF_SPEECH, END_OF_AI) or (token == END_OF_TEXT and self._has_begun):
            self.has_ended = True
            return None
        self._stray += 1
        if token < FIRST_AUDIO:
            # Text, or a head that the model writes for itself: no slot is used up by it.
            return None
        self._has_begun = True
        slot, code = divmod(token - FIRST_AUDIO, CODES)
        if self._is_lost and slot == 0:
            self._is_lost = False
        if self._is_lost:
            return None
        if slot != len(self._partial):
            self._lose_track(slot, code)
            return None
        self._partial.append(code)
        if len(self._partial) < SLOTS:
            return None
        a, b, c, d, e, f, g = self._partial
        self._partial = []
        return a, b, c, d, e, f, g

    def _lose_track(self, slot: int, code: int) -> None:
        self.resyncs += 1
        self._is_lost = slot != 0
        self._partial = [] if self._is_lost else [code]


class TokenText:
    """Reads token ids from text that comes in chunks, which may hold several or part of one.

    ``other_characters`` counts what was no token: a model that chats writes many.
    """

    def __init__(self) -> None:
        self._tail = ""
        self.other_characters = 0

    def push(self, text: str) -> list[int]:
        text = self._tail + text
        cut = _CUT.search(text)
        self._tail = text[cut.start() :] if cut else ""
        text = text[: cut.start()] if cut else text
        found = [
            FIRST_CUSTOM + int(match[1]) if match[1] else END_OF_TEXT
            for match in _TOKEN.finditer(text)
        ]
        self.other_characters += len("".join(_TOKEN.sub("", text).split()))
        return found
