"""Entries that are on disk at once, and in the database as soon as it takes them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.core.tasks import begin, finished
from parley.store.journal_file import JournalFile, left_by_the_dead

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

log = get_logger(__name__)

RETRY_S = 2.0
CLOSING_S = 5.0
MOST_WAITING = 100_000

Entry = TypeVar("Entry", bound="DataclassInstance")


class Journal(ABC, Generic[Entry]):
    """Writes entries to a file before it returns, and to the database in a task of its own.

    A process that is killed leaves its file: the next one that opens the folder carries on with
    it, so what is put twice must count once. While the database is away entries wait there, too,
    until ``most`` do. ``kinds`` are the entries' types by their names in the file. Use it as an
    async context manager.
    """

    def __init__(
        self, name: str, folder: Path, kinds: Mapping[str, type[Entry]], most: int = MOST_WAITING
    ) -> None:
        self._name = name
        self._folder = folder
        self._kinds = kinds
        self._names = {kind: name for name, kind in kinds.items()}
        self._most = most
        self._left_out = 0
        self._due: deque[Entry] = deque()
        self._file = JournalFile(folder, name)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_closing = False
        self._is_ill = False
        self._working: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            self._file.open()
            self._adopt()
        except OSError as error:
            # Entries still reach the database, if it is there and nobody ends us.
            log.error(
                "journal_unusable",
                journal=self._name,
                folder=str(self._folder),
                error=str(error),
            )
        self._working = begin(self._work(), self._name)
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._is_closing = True
        self._wake.set()
        if self._working:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_S):
                    await finished(self._working)
        self._tell_left_out()
        self._file.close(is_done_with=not self._due)
        if self._due:
            self._tell_left_over()

    @property
    def process(self) -> str:
        """The name under which this process, and no other ever, writes."""
        return self._file.path.stem

    def note(self, entry: Entry) -> None:
        """It is on disk when this returns, and outlives this process."""
        if len(self._due) >= self._most:
            self._leave_out()
            return
        self._write([entry])
        self._due.append(entry)
        self._idle.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Wait until everything noted is in the database, or can't be now."""
        await self._idle.wait()

    @abstractmethod
    async def _put(self, entry: Entry) -> None:
        """Put it into the database. It may be there already."""

    async def _tend(self) -> float | None:
        """Whatever else there is to do while the database is there; in how many seconds again."""
        return None

    def _standing(self) -> Sequence[Entry]:
        """What lies in the file for whoever takes it over, and is not for the database yet."""
        return ()

    def _inherit(self, process: str, entries: list[Entry]) -> list[Entry]:
        """What has to be put of what a process that is gone has left."""
        return entries

    # ── on disk ──────────────────────────────────────────────────────────────────────────────

    def _write(self, entries: Sequence[Entry]) -> bool:
        try:
            self._file.append([self._to_line(entry) for entry in entries])
        except OSError as error:
            log.error("not_journalled", journal=self._name, error=str(error))
            return False
        return True

    def _forget_what_is_put(self) -> None:
        """Whatever stays in the file may be put again: it counts once."""
        standing = self._standing()
        with contextlib.suppress(OSError):
            # What a full disk has not taken yet would go first, and is told already.
            if self._file.is_long or not (standing or self._due):
                kept = [*self._due, *standing]
                self._file.keep_only([self._to_line(entry) for entry in kept])

    def _adopt(self) -> None:
        """Take over what processes that are gone have left."""
        for path in self._file.others():
            try:
                self._take_over(path)
            except FileNotFoundError:
                # Somebody else has done it.
                continue
            except OSError as error:
                log.error("journal_not_taken_over", file=str(path), error=str(error))

    def _take_over(self, path: Path) -> None:
        with left_by_the_dead(path) as lines:
            if lines is None:
                return
            found = [entry for line in lines if (entry := self._from_line(line))]
            entries = self._inherit(path.stem, found)
            self._due.extend(entries)
            # In our own file first: twice counts once. A full disk takes nothing: then it stays.
            if self._write(entries):
                path.unlink(missing_ok=True)
        log.info("journal_taken_over", journal=self._name, entries=len(found))

    def _to_line(self, entry: Entry) -> str:
        return json.dumps({self._names[type(entry)]: asdict(entry)}, default=_plain) + "\n"

    def _from_line(self, line: str) -> Entry | None:
        try:
            ((name, fields),) = json.loads(line).items()
            moments: dict[str, Any] = {
                key: datetime.fromisoformat(value)
                for key, value in fields.items()
                if key.endswith("_at") and value is not None
            }
            return self._entry(self._kinds[name], {**fields, **moments})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # Whoever was killed while writing leaves half a line; the others still count.
            log.error("journal_line_not_read", journal=self._name, error=str(error))
            return None

    def _entry(self, kind: type[Entry], fields: dict[str, Any]) -> Entry:
        return kind(**fields)

    # ── in the database ──────────────────────────────────────────────────────────────────────

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            is_last = self._is_closing
            self._is_ill = False
            await self._put_all()
            again_s = RETRY_S if self._is_ill else await self._tend()
            if self._is_ill or not self._due:
                self._idle.set()
            if is_last:
                return
            try:
                async with asyncio.timeout(again_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _put_all(self) -> None:
        while self._due:
            try:
                await self._put(self._due[0])
            except ParleyError as error:
                if not _is_for_ever(error):
                    self._is_ill = True
                    log.warning(
                        "journal_waits",
                        journal=self._name,
                        waiting=len(self._due),
                        error=str(error),
                    )
                    return
                log.error("journal_entry_lost", journal=self._name, error=str(error))
            except Exception as error:
                # Whatever is wrong with this entry, the others must not wait for it for ever.
                told = f"{type(error).__name__}: {error}"
                log.error("journal_entry_lost", journal=self._name, error=told)
            self._due.popleft()
        self._forget_what_is_put()
        self._tell_left_out()

    # ── what is lost ─────────────────────────────────────────────────────────────────────────

    def _leave_out(self) -> None:
        self._left_out += 1
        if self._left_out == 1:
            log.error(
                "journal_full",
                journal=self._name,
                most=self._most,
                hint="The database is away for too long; what comes now is lost until it is back.",
            )

    def _tell_left_out(self) -> None:
        lost, self._left_out = self._left_out, 0
        if lost:
            log.error("journal_entries_lost", journal=self._name, entries=lost)

    def _tell_left_over(self) -> None:
        if self._file.stream is None:
            log.error("journal_entries_lost", journal=self._name, entries=len(self._due))
            return
        log.warning(
            "left_in_journal", journal=self._name, entries=len(self._due), file=str(self._file.path)
        )


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _is_for_ever(error: ParleyError) -> bool:
    """Whether the database is there, and will never take this."""
    # Who fails so has loaded it already; who needs no database never pays for it.
    from parley.store.database import is_refusal

    return is_refusal(error)
