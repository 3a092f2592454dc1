"""How Vosk's WebSocket server is spoken to: one utterance on one connection.

It answers every message of sound with exactly one message, in order: what it has so far, or,
when it heard a pause, a final text. A last word from us asks for the rest. ``{"reset" : 1}``
keeps the connection for the next utterance, but some servers don't know it; ``{"eof" : 1}`` ends
the connection, and must be written with just these spaces.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import EngineFailed
from parley.engines.spec import TranscriptPart, Word

RESET, EOF = '{"reset" : 1}', '{"eof" : 1}'
# More unanswered messages than this, and the rest waits on our side.
MOST_UNANSWERED = 4
# So many messages without a final text between them are not said again.
MOST_UNTOLD = 3000


@dataclass(eq=False)
class VoskLine:
    """A connection. Its recogniser counts time from ``sent_ms`` 0, over all utterances."""

    socket: ClientConnection
    rate_hz: int
    sent_ms: float = 0.0
    is_spent: bool = False

    async def say(self, pcm: bytes) -> None:
        self.sent_ms += Audio(pcm, self.rate_hz).duration_ms
        await self.socket.send(pcm)


class ResetUnknown(Exception):
    """The server broke off at the reset: what it had not told yet must be said again."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A message without its answer. The one that ends the utterance holds no sound."""

    at_s: float
    pcm: bytes


class VoskUtterance:
    """Says one utterance on a line and hands on what the server makes of it.

    ``untold`` is the sound that no final text covers yet, kept with ``keeps_untold`` only.
    """

    def __init__(
        self,
        line: VoskLine,
        *,
        ends_with: str,
        chunk_ms: int,
        answer_timeout_s: float,
        done_ms: float = 0.0,
        keeps_untold: bool = False,
    ) -> None:
        self._line = line
        self._ends_with = ends_with
        self._chunk_bytes = pcm_bytes(chunk_ms, line.rate_hz)
        self._answer_timeout_s = answer_timeout_s
        self._shift_ms = done_ms - line.sent_ms
        self._keeps_untold = keeps_untold
        self._unanswered: deque[_Sent] = deque()
        self._has_room = asyncio.Event()
        self._told_partial = ""
        self.done_ms = done_ms
        self.untold: list[bytes] = []
        self.knows_reset: bool | None = None

    async def parts(self, sound: AsyncGenerator[bytes]) -> AsyncGenerator[TranscriptPart]:
        """Ends after the server's last word. Raises ``ResetUnknown``, or what sockets raise."""
        feeding = asyncio.create_task(self._feed(sound))
        try:
            while True:
                reply = await self._next_reply(feeding)
                sent = self._unanswered.popleft()
                self._has_room.set()
                is_last = not sent.pcm
                if is_last and "partial" in reply and self._ends_with == RESET:
                    await self._end_instead_of_reset()
                    continue
                part = self._part(reply, sent, is_last)
                if part is not None:
                    yield part
                if is_last:
                    self.knows_reset = self._ends_with == RESET
                    return
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    # ── to the server ────────────────────────────────────────────────────────────────────

    async def _feed(self, sound: AsyncGenerator[bytes]) -> None:
        waiting = bytearray()
        try:
            async with aclosing(sound):
                async for pcm in sound:
                    waiting += pcm
                    # A server that lags gets fewer, longer messages.
                    if len(waiting) >= self._chunk_bytes * (1 + len(self._unanswered)):
                        await self._say(waiting)
            if waiting:
                await self._say(waiting)
            await self._end()
        except ConnectionClosed:
            # Whoever waits for answers learns of it too.
            return
        except Exception:
            # Sound can break in any way, and nobody would end the wait for an answer to it.
            self._line.socket.transport.abort()
            raise

    async def _say(self, waiting: bytearray) -> None:
        while len(self._unanswered) >= MOST_UNANSWERED:
            self._has_room.clear()
            await self._has_room.wait()
        pcm = bytes(waiting)
        waiting.clear()
        self._unanswered.append(_Sent(time.monotonic(), pcm))
        await self._line.say(pcm)

    async def _end(self) -> None:
        self._line.is_spent = self._ends_with == EOF
        self._unanswered.append(_Sent(time.monotonic(), b""))
        await self._line.socket.send(self._ends_with)

    async def _end_instead_of_reset(self) -> None:
        self._ends_with = EOF
        await self._end()

    # ── from the server ──────────────────────────────────────────────────────────────────

    async def _next_reply(self, feeding: asyncio.Task[None]) -> dict[str, Any]:
        while True:
            try:
                async with asyncio.timeout(self._answer_timeout_s):
                    message = await self._line.socket.recv()
                break
            except TimeoutError:
                if self._is_overdue():
                    raise
            except ConnectionClosed as error:
                if feeding.done() and not feeding.cancelled() and (why := feeding.exception()):
                    raise why from error
                if (
                    self._is_at_reset()
                    and error.rcvd
                    and error.rcvd.code == CloseCode.INTERNAL_ERROR
                ):
                    self.untold += [sent.pcm for sent in self._unanswered if sent.pcm]
                    raise ResetUnknown from error
                raise
        reply: Any = json.loads(message)
        if not isinstance(reply, dict):
            raise ValueError("an answer that is no object")
        if not self._unanswered:
            raise ValueError("an answer that nobody asked for")
        return cast("dict[str, Any]", reply)

    def _is_overdue(self) -> bool:
        if not self._unanswered:
            return False
        return time.monotonic() - self._unanswered[0].at_s >= self._answer_timeout_s

    def _is_at_reset(self) -> bool:
        asked = bool(self._unanswered) and not self._unanswered[-1].pcm
        return asked and self._ends_with == RESET and self._keeps_untold

    def _part(self, reply: dict[str, Any], sent: _Sent, is_last: bool) -> TranscriptPart | None:
        if "partial" in reply and not is_last:
            if self._keeps_untold:
                self.untold.append(sent.pcm)
                del self.untold[:-MOST_UNTOLD]
            text = str(reply["partial"]).strip()
            if not text or text == self._told_partial:
                return None
            self._told_partial = text
            return TranscriptPart(text, final=False)
        best = _best(reply)
        self.untold.clear()
        self.done_ms = self._shift_ms + self._line.sent_ms - self._unanswered_ms()
        self._told_partial = ""
        words = tuple(self._word(word) for word in best.get("result") or ())
        text = str(best["text"]).strip()
        if not text and not is_last:
            return None
        start_ms = words[0].start_ms if words else 0
        end_ms = words[-1].end_ms if words else 0
        return TranscriptPart(text, True, start_ms, end_ms, words)

    def _unanswered_ms(self) -> float:
        return sum(Audio(sent.pcm, self._line.rate_hz).duration_ms for sent in self._unanswered)

    def _word(self, word: dict[str, Any]) -> Word:
        start_ms = max(0, round(float(word["start"]) * 1000 + self._shift_ms))
        end_ms = max(start_ms, round(float(word["end"]) * 1000 + self._shift_ms))
        return Word(str(word["word"]), start_ms, end_ms)


def _best(reply: dict[str, Any]) -> dict[str, Any]:
    """The final text and its words; of several readings, the likeliest, which comes first."""
    readings: Any = reply.get("alternatives")
    best: Any = readings[0] if readings else reply
    if not isinstance(best, dict) or "text" not in best:
        raise EngineFailed("Vosk answered with neither a text nor a part of one.")
    return cast("dict[str, Any]", best)
