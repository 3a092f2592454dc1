"""The ``parley`` command."""

from __future__ import annotations

from collections.abc import Sequence

from parley.core.told_to_stop import ends_when_told

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 (problems found), 2 (can't start) or 130."""
    # Not above: it takes half a second, and Ctrl-C may come in the middle of it.
    with ends_when_told():
        from parley.cli.commands import run
    try:
        return run(argv)
    except KeyboardInterrupt:
        return INTERRUPTED
