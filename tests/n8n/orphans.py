"""Processes that tests have left behind: found, told, ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_GRACE_S = 10.0


def adopt_orphans() -> None:
    """From now on a descendant whose parent has ended becomes our child. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans() -> list[str]:
    """What still ran some seconds after its parents had ended; it is killed."""
    ends_s = time.monotonic() + _GRACE_S
    while _reap() and time.monotonic() < ends_s:
        time.sleep(0.2)
    found: dict[int, str] = {}
    # Those of one that is killed come to us in turn.
    while pids := _reap():
        for pid in pids:
            found.setdefault(pid, _command(pid))
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
    return list(found.values())


def _reap() -> list[int]:
    """Our children that still run; those that have ended are cleared away."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return _children()
        except ChildProcessError:
            return []


def _children() -> list[int]:
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # What is in parentheses is the name, which may have any sign in it.
            parent = stat.read_text().rpartition(")")[2].split()[1]
        except (OSError, IndexError):
            continue
        if int(parent) == os.getpid():
            found.append(int(stat.parent.name))
    return found


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        words = []
    return f"{pid} {b' '.join(words).decode(errors='replace')[:120]}"
