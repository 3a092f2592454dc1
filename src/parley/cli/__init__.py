"""The ``parley`` command: it ends quietly whenever it is told to, from its first moment on."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Generator, Sequence
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 (problems found), 2 (can't start), 130 or 143."""
    with _sigterm_unwinds():
        try:
            # Not above: loading takes half a second, and Ctrl-C may come in the middle of it.
            from parley.cli.commands import run

            return run(argv)
        except KeyboardInterrupt:
            return INTERRUPTED


@contextlib.contextmanager
def _sigterm_unwinds() -> Generator[None]:
    """Let SIGTERM close what is open, as Ctrl-C does. Left alone it would end the process at once,
    and as a container's first process not at all. ``serve`` has its own way once it serves."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)
