"""Ends the process at once when it is told to stop, while it has nothing to finish yet."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Generator
from types import FrameType


@contextlib.contextmanager
def ends_when_told() -> Generator[None]:
    """Ctrl-C ends the process here and now with the code 130, SIGTERM with 143, without a word.

    An exception would come up in the middle of a library that is being loaded, and some of them
    abort then, or blame something else. Nothing is lost: worker processes end when their input
    does, and databases roll back. Left alone, SIGTERM would not end a container's first process.
    """
    if threading.current_thread() is not threading.main_thread():
        # Signals are the main thread's: whoever runs a command beside it has handlers already.
        yield
        return
    before = {number: signal.signal(number, _end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)
