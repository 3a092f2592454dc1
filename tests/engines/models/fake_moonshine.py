"""A stand-in for Moonshine's library, which has no weights here: it is told what it hears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any


class FakeTranscriber:
    """Understands one more word with every 100 ms; ``fails_at`` is the piece that breaks it."""

    def __init__(self, words: str = "good evening to you", fails_at: int = -1) -> None:
        self.words = words.split()
        self.fails_at = fails_at
        self.open_streams = 0
        self.is_closed = False

    def create_stream(self, update_interval: float) -> FakeStream:
        self.open_streams += 1
        return FakeStream(self)

    def close(self) -> None:
        self.is_closed = True


@dataclass
class FakeStream:
    """One utterance, told to its listeners as the library tells it."""

    transcriber: FakeTranscriber
    pieces: int = 0
    listener: Callable[[Any], None] = print

    def add_listener(self, listener: Callable[[Any], None]) -> None:
        self.listener = listener

    def start(self) -> None:
        pass

    def add_audio(self, samples: list[float], rate_hz: int) -> None:
        if self.pieces == self.transcriber.fails_at:
            raise RuntimeError("out of memory")
        self.pieces += 1
        text = " ".join(self.transcriber.words[: self.pieces])
        self.listener(SimpleNamespace(line=SimpleNamespace(line_id=7, start_time=0.1, text=text)))

    def stop(self) -> None:
        if self.transcriber.fails_at == self.pieces:
            self.listener(SimpleNamespace(line=None, error=RuntimeError("too late")))

    def close(self) -> None:
        self.transcriber.open_streams -= 1
