"""A file that one process appends lines to, and that another takes over when the first is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

LONG_BYTES = 1_000_000


class JournalFile:
    """Lines in ``folder``, in a file of this process's own: whoever lives holds its file's lock.

    What fails raises ``OSError``; without ``open`` nothing is written.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._pattern = f"{name}-*.jsonl"
        self.path = self._new_path()
        self.stream: TextIOWrapper | None = None
        self._kept_bytes = 0

    def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.stream = self._make([])

    def append(self, lines: Sequence[str]) -> None:
        """They outlive this process when this returns."""
        if self.stream is not None:
            self.stream.writelines(lines)
            self.stream.flush()

    @property
    def is_long(self) -> bool:
        """Whether most of it is of no use by now, as far as that can be told."""
        return self._size_bytes() > LONG_BYTES + 2 * self._kept_bytes

    def keep_only(self, lines: Sequence[str]) -> None:
        """Forget all others."""
        if self.stream is None:
            return
        if lines:
            self._begin_anew(self.stream, lines)
        else:
            self.stream.truncate(0)
        self._kept_bytes = self._size_bytes()

    def close(self, *, is_done_with: bool) -> None:
        """Leave it to whoever comes next, unless it is of no use to anybody."""
        if self.stream is None:
            return
        with contextlib.suppress(OSError):
            # What a full disk did not take is told already.
            self.stream.close()
        if is_done_with:
            self.path.unlink(missing_ok=True)

    def others(self) -> list[Path]:
        """The files of other processes, alive or not."""
        return [path for path in sorted(self._folder.glob(self._pattern)) if path != self.path]

    def _size_bytes(self) -> int:
        return os.fstat(self.stream.fileno()).st_size if self.stream else 0

    def _new_path(self) -> Path:
        return self._folder / self._pattern.replace("*", secrets.token_hex(6))

    def _make(self, lines: Sequence[str]) -> TextIOWrapper:
        # Nobody must take it over between its making and its locking.
        nameless = self.path.with_suffix(".new")
        # What callers said is nobody else's to read.
        nameless.touch(mode=0o600)
        stream = nameless.open("a", encoding="utf-8")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.writelines(lines)
            stream.flush()
            nameless.rename(self.path)
        except OSError:
            nameless.unlink(missing_ok=True)
            raise
        return stream

    def _begin_anew(self, old: TextIOWrapper, lines: Sequence[str]) -> None:
        """Go on in another file: one that is cut and written again may be cut off in between."""
        old_path, self.path = self.path, self._new_path()
        try:
            self.stream = self._make(lines)
        except OSError:
            self.path = old_path
            raise
        # It goes before its lock does, so that nobody takes it over.
        old_path.unlink(missing_ok=True)
        old.close()


@contextmanager
def left_by_the_dead(path: Path) -> Generator[list[str] | None]:
    """The lines of a file whose process is gone, which nobody else gets meanwhile; None of one
    that lives, or whose file somebody else has taken over."""
    # A machine that lost its power may leave anything in a file.
    with path.open("r+", encoding="utf-8", errors="replace") as left:
        try:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield list(left) if os.fstat(left.fileno()).st_nlink else None
