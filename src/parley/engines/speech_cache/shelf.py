"""Takes on disk: bounded, aged out, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from parley.core.log import get_logger
from parley.engines.speech_cache.take import Take

log = get_logger(__name__)

SUFFIX = ".take"
KEPT_FOR_S = 30 * 86_400.0


@dataclass(slots=True)
class _Slot:
    bytes: int
    used_s: float


class Shelf:
    """A folder of takes. What was used last stays longest; a file's time of change tells that.

    ``read`` and ``write`` block: call them in a thread.
    """

    def __init__(self, folder: Path, most_bytes: int, kept_for_s: float = KEPT_FOR_S) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._kept_for_s = kept_for_s
        self._slots: dict[str, _Slot] = {}
        self._lock = threading.Lock()
        self._look_around()

    @property
    def bytes(self) -> int:
        # A copy, in one step: threads put takes on the shelf while its size is asked.
        return sum(slot.bytes for slot in tuple(self._slots.values()))

    def __contains__(self, key: str) -> bool:
        return key in self._slots

    def __len__(self) -> int:
        return len(self._slots)

    def read(self, key: str) -> Take | None:
        """The take, or None when it isn't there, is too old or is damaged."""
        with self._lock:
            slot = self._slots.get(key)
            if slot is None or self._is_old(slot):
                self._drop(key)
                return None
            try:
                take = Take.from_file(self._path(key).read_bytes())
                os.utime(self._path(key))
            except (OSError, ValueError, TypeError) as error:
                log.warning("speech_file_ignored", key=key, error=str(error))
                self._drop(key)
                return None
            slot.used_s = time.time()
            return take

    def write(self, key: str, take: Take) -> None:
        """Keep the take; a disk that is full or gone is logged and nothing else."""
        data = take.to_file()
        if len(data) > self._most_bytes:
            return
        with self._lock:
            try:
                self._write(self._path(key), data)
            except OSError as error:
                log.warning("speech_file_not_written", folder=str(self._folder), error=str(error))
                return
            self._slots[key] = _Slot(len(data), time.time())
            self._make_room()

    def _write(self, path: Path, data: bytes) -> None:
        """In one step: a reader, or the next start, finds all of it or nothing."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def _look_around(self) -> None:
        """Find what an earlier start has left, and sweep up what it didn't finish."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if path.suffix == SUFFIX:
                    facts = path.stat()
                    self._slots[path.stem] = _Slot(facts.st_size, facts.st_mtime)
                elif path.suffix == ".part":
                    path.unlink()
        self._make_room()

    def _make_room(self) -> None:
        for key in [key for key, slot in self._slots.items() if self._is_old(slot)]:
            self._drop(key)
        excess = self.bytes - self._most_bytes
        for key in sorted(self._slots, key=lambda each: self._slots[each].used_s):
            if excess <= 0:
                return
            excess -= self._slots[key].bytes
            self._drop(key)

    def _drop(self, key: str) -> None:
        if self._slots.pop(key, None) is not None:
            with contextlib.suppress(OSError):
                self._path(key).unlink()

    def _is_old(self, slot: _Slot) -> bool:
        return time.time() - slot.used_s > self._kept_for_s

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{SUFFIX}"
