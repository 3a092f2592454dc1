"""The worker's side: ``python -m parley.engines.worker_process MODULE:CLASS OPTIONS CANCELS``.

It ends when its standard input does, and so also when the server was killed.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections import deque
from contextlib import suppress
from typing import Any, BinaryIO, Protocol

from parley.engines.wire import (
    AUDIO,
    CANCEL,
    FAILED,
    FINAL,
    FINISH,
    HEADER,
    NOTE,
    NUMBER,
    OPEN,
    PARTIAL,
    PING,
    PONG,
    READY,
    pack_json,
)

# About ten seconds of sound in pieces of 20 ms; the first message opens the utterance.
MOST_WAITING = 500


class Hearing(Protocol):
    """One utterance being recognised."""

    def take(self, pcm: bytes) -> str | None:
        """Take some sound; a partial text if there is a new one."""
        ...

    def finish(self) -> str:
        """The final text."""
        ...

    def close(self) -> None:
        """Let go of what the utterance held; called in every case."""
        ...


class Recogniser(Protocol):
    """What a worker runs: made once per process, with the models loaded."""

    def has_room(self) -> bool:
        """Whether one more utterance can be taken on beside those in progress."""
        ...

    def open(self, options: dict[str, Any]) -> Hearing: ...

    def take_notes(self) -> list[str]:
        """What the operator should know since it was last asked; the server logs each once."""
        ...


class Worker:
    """Reads messages, runs them one after the other, writes what comes of them.

    Utterances take turns message by message. When the recogniser has no room, the messages of
    further ones wait here until it has.
    """

    def __init__(
        self, recogniser: Recogniser, source: BinaryIO, sink: BinaryIO, cancels: int
    ) -> None:
        self._recogniser = recogniser
        self._source = source
        self._sink = sink
        self._cancels = cancels
        self._cancelled: set[int] = set()
        self._hearings: dict[int, Hearing] = {}
        self._waiting: dict[int, deque[tuple[bytes, bytes]]] = {}

    def run(self) -> None:
        self._say(READY, 0, {})
        while len(header := self._source.read(HEADER.size)) == HEADER.size:
            kind, job, length = HEADER.unpack(header)
            body = self._source.read(length)
            self._note_cancels()
            if kind == CANCEL:
                self._cancelled.discard(job)
            elif job in self._cancelled:
                # Seconds of sound may stand between it and the word that nobody wants it.
                continue
            self._take(kind, job, body)

    def _note_cancels(self) -> None:
        with suppress(BlockingIOError):
            while numbers := os.read(self._cancels, 4096):
                self._cancelled.update(number for (number,) in NUMBER.iter_unpack(numbers))

    def _take(self, kind: bytes, job: int, body: bytes) -> None:
        if kind == PING:
            self._say(PONG, job, {})
        elif job in self._waiting:
            self._wait(self._waiting[job], kind, body)
            if kind == CANCEL:
                del self._waiting[job]
        elif kind == OPEN and not self._recogniser.has_room():
            self._waiting[job] = deque([(kind, body)])
        else:
            self._do(kind, job, body)
        self._let_in_waiting()

    def _wait(self, messages: deque[tuple[bytes, bytes]], kind: bytes, body: bytes) -> None:
        """Keep a message for later; of too much sound the oldest goes."""
        messages.append((kind, body))
        if len(messages) > MOST_WAITING:
            del messages[1]

    def _let_in_waiting(self) -> None:
        while self._waiting and self._recogniser.has_room():
            job, messages = next(iter(self._waiting.items()))
            del self._waiting[job]
            for kind, body in messages:
                self._do(kind, job, body)

    def _do(self, kind: bytes, job: int, body: bytes) -> None:
        try:
            if kind == OPEN:
                self._hearings[job] = self._recogniser.open(json.loads(body))
                for note in self._recogniser.take_notes():
                    self._say(NOTE, job, note)
            elif job in self._hearings:
                self._go_on(kind, job, body)
        except Exception as error:
            # This utterance alone is lost: other calls hear with the same process.
            self._end(job)
            self._say(FAILED, job, f"{type(error).__name__}: {error}")

    def _go_on(self, kind: bytes, job: int, body: bytes) -> None:
        hearing = self._hearings[job]
        if kind == AUDIO:
            partial = hearing.take(body)
            if partial is not None:
                self._say(PARTIAL, job, partial)
        elif kind == FINISH:
            text = hearing.finish()
            self._end(job)
            self._say(FINAL, job, text)
        elif kind == CANCEL:
            self._end(job)

    def _end(self, job: int) -> None:
        hearing = self._hearings.pop(job, None)
        if hearing is not None:
            hearing.close()

    def _say(self, kind: bytes, job: int, value: Any) -> None:
        self._sink.write(pack_json(kind, job, value))
        self._sink.flush()


def main() -> None:
    # A terminal or a service manager tells everyone at once; the server, which may still have
    # calls to finish, decides when workers end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    module, _, name = sys.argv[1].partition(":")
    sink = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not get between the messages.
    os.dup2(2, 1)
    recogniser = getattr(importlib.import_module(module), name)(json.loads(sys.argv[2]))
    try:
        cancels = int(sys.argv[3])
        os.set_blocking(cancels, False)
        Worker(recogniser, sys.stdin.buffer, sink, cancels).run()
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
