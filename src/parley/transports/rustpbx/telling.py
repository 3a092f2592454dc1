"""What the server says on the socket: exactly the fields and types that the real client parses.

Numbers are whole and not negative, times are milliseconds: a fraction costs the client the whole
message.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from parley import __version__
from parley.core.errors import ParleyError, error_types
from parley.core.events import (
    AgentSpeechStarted,
    AgentSpeechStopped,
    AgentText,
    CallFailed,
    Event,
    TurnEnded,
    UserTranscript,
)

SERVER = "parley"

_NUMBERS = tuple(str(number) for number in range(256))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def message(kind: str, **fields: Any) -> str:
    """A message with the time in it."""
    told = {"type": kind, **fields}
    told.setdefault("timestamp", now_ms())
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    # Half of a surrogate pair, out of a client's or a model's JSON, is nothing that can be sent.
    return text.encode(errors="replace").decode()


def connected() -> str:
    return message("connected", server=SERVER, version=__version__)


def configured(call_id: str) -> str:
    return message("configured", call_id=call_id, status="success")


def pong(timestamp: int | None) -> str:
    """``timestamp`` is the ping's own, if that was one."""
    return message("pong") if timestamp is None else message("pong", timestamp=timestamp)


def ping() -> str:
    return message("ping")


def failure(error: ParleyError) -> str:
    return message("error", message=str(error), code=error.status)


class Frames:
    """The agent's voice as messages, numbered."""

    def __init__(self) -> None:
        self._number = 0

    def encode(self, pcm: bytes, rate_hz: int) -> str:
        """A list of integers is the one form that every version of the client reads."""
        self._number += 1
        # Four times as fast as json does it, fifty times a second in every call.
        sound = ",".join([_NUMBERS[byte] for byte in pcm])
        return (
            f'{{"type":"audio","audio_data":[{sound}],"sample_rate":{rate_hz},"channels":1,'
            f'"frame_id":"out_{self._number}"}}'
        )


class Teller:
    """Makes messages of one call's events."""

    def __init__(self, language: str) -> None:
        self.language = language or "en"
        self._said: list[str] = []
        self._spoken = ""

    def of(self, event: Event) -> Sequence[str]:
        """What the PBX is told of that; mostly nothing."""
        match event:
            case UserTranscript(text=text, final=final):
                # What was said before a turn that had no end of its own belongs to no reply to it.
                over = self._complete() if final else ()
                return (*over, *self._transcription(text, is_final=final))
            case AgentText(text=text):
                self._said.append(text)
                return [message("llm_response", text=text, is_complete=False)]
            case AgentSpeechStarted():
                self._spoken = self._reply()
                return [message("tts_started", text=self._spoken)]
            case AgentSpeechStopped():
                return [message("tts_completed", text=self._reply() or self._spoken)]
            case TurnEnded():
                return self._turn_ended(event)
            case CallFailed():
                return [_call_failed(event)]
            case _:
                return []

    def _transcription(self, text: str, *, is_final: bool) -> Sequence[str]:
        if not text.strip():
            return []
        language = self.language
        return [message("transcription", text=text, is_final=is_final, language=language)]

    def _turn_ended(self, event: TurnEnded) -> Sequence[str]:
        told = [
            message("metrics", key=stage, duration=max(0, round(took_ms)))
            for stage, took_ms in event.stages.items()
        ]
        return [*self._complete(), *told]

    def _complete(self) -> Sequence[str]:
        reply = self._reply()
        self._said.clear()
        return [message("llm_response", text=reply, is_complete=True)] if reply else []

    def _reply(self) -> str:
        return " ".join("".join(self._said).split())


def _call_failed(event: CallFailed) -> str:
    statuses = {each.code: each.status for each in reversed(error_types())}
    text = f"{event.message} {event.hint}".strip()
    return message("error", message=text, code=statuses.get(event.code, 500))
