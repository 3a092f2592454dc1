"""What befalls runs of tools, on disk at once and in the database as soon as it takes them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import secrets
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.core.tasks import begin, finished
from parley.store.records import ToolRunEnd, ToolRunRecord

if TYPE_CHECKING:
    from parley.store.tool_runs import ToolRunShelf

log = get_logger(__name__)

RETRY_S = 2.0
CLOSING_S = 5.0
GIVE_UP_EVERY_S = 15.0
_PATTERN = "tool-runs-*.jsonl"


@dataclass(frozen=True, slots=True)
class RunOwner:
    """Whose secret signs what the run's tool sends later."""

    id: str
    owner: str


Entry = ToolRunRecord | ToolRunEnd | RunOwner
_KINDS: dict[str, type[Entry]] = {"began": ToolRunRecord, "ended": ToolRunEnd, "owned": RunOwner}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class RunJournal:
    """Writes entries to a file before it returns, and to the shelf in a task of its own.

    A process that is killed leaves its file: the next one that opens the folder carries on with
    it. While the database is away entries wait there, too. Use it as an async context manager.
    """

    def __init__(self, shelf: ToolRunShelf, folder: Path) -> None:
        self._shelf = shelf
        self._folder = folder
        self._due: deque[Entry] = deque()
        self._file: TextIOWrapper | None = None
        self._path = folder / _PATTERN.replace("*", secrets.token_hex(6))
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_closing = False
        self._is_ill = False
        self._give_up_at_s = 0.0
        self._working: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RunJournal:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._open_own()
            self._adopt()
        except OSError as error:
            # Runs still reach the database, if it is there and nobody ends us.
            log.error("tool_run_journal_unusable", folder=str(self._folder), error=str(error))
        self._working = begin(self._work(), "tool-runs")
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
        if self._file is not None:
            with contextlib.suppress(OSError):
                # What a full disk did not take is told already.
                self._file.close()
            if self._due:
                log.warning("tool_runs_left_in_journal", runs=len(self._due), file=str(self._path))
            else:
                self._path.unlink(missing_ok=True)

    def note(self, entry: Entry) -> None:
        """It is on disk when this returns, and outlives this process."""
        self._write([entry])
        self._due.append(entry)
        self._idle.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Wait until everything noted is in the database, or can't be now."""
        await self._idle.wait()

    def _write(self, entries: Iterable[Entry]) -> None:
        if self._file is None:
            return
        try:
            self._file.writelines(_to_line(entry) for entry in entries)
            self._file.flush()
        except OSError as error:
            log.error("tool_run_not_journalled", error=str(error))

    def _open_own(self) -> TextIOWrapper:
        # Nobody must take it over between its making and its locking.
        nameless = self._path.with_suffix(".new")
        file = nameless.open("a", encoding="utf-8")
        fcntl.flock(file, fcntl.LOCK_EX)
        nameless.rename(self._path)
        return file

    def _adopt(self) -> None:
        """Take over what processes that are gone have left."""
        for path in sorted(self._folder.glob(_PATTERN)):
            if path == self._path:
                continue
            with path.open("r+", encoding="utf-8") as left:
                try:
                    fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                entries = [entry for line in left if (entry := _from_line(line))]
                # In our own file first: twice counts once.
                self._write(entries)
                self._due.extend(entries)
                path.unlink(missing_ok=True)
            log.info("tool_runs_taken_over", entries=len(entries))

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            is_last = self._is_closing
            self._is_ill = False
            await self._write_down()
            await self._give_up()
            if self._is_ill or not self._due:
                self._idle.set()
            if is_last:
                return
            pause_s = RETRY_S if self._is_ill else self._give_up_at_s - time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, pause_s)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _write_down(self) -> None:
        while self._due:
            try:
                await self._put(self._due[0])
            except ParleyError as error:
                self._is_ill = True
                log.warning("tool_runs_not_kept", waiting=len(self._due), error=str(error))
                return
            except Exception as error:
                # Whatever is wrong with this entry, the others must not wait for it for ever.
                log.error("tool_run_lost", error=f"{type(error).__name__}: {error}")
            self._due.popleft()
        if self._file is not None:
            self._file.truncate(0)

    async def _put(self, entry: Entry) -> None:
        match entry:
            case ToolRunRecord():
                await self._shelf.began(entry)
            case ToolRunEnd():
                await self._shelf.ended(entry)
            case RunOwner():
                await self._shelf.owned(entry.id, entry.owner)

    async def _give_up(self) -> None:
        """Close runs that nobody is going to end: their process was."""
        if self._is_ill or time.monotonic() < self._give_up_at_s:
            return
        self._give_up_at_s = time.monotonic() + GIVE_UP_EVERY_S
        try:
            if runs := await self._shelf.give_up(datetime.now(UTC)):
                log.warning("tool_runs_cut_off", runs=runs)
        except ParleyError as error:
            log.warning("tool_runs_not_given_up", error=str(error))


def _to_line(entry: Entry) -> str:
    return json.dumps({_NAMES[type(entry)]: asdict(entry)}, default=_plain) + "\n"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _from_line(line: str) -> Entry | None:
    try:
        ((name, fields),) = json.loads(line).items()
        moments: dict[str, Any] = {
            key: datetime.fromisoformat(value)
            for key, value in fields.items()
            if key.endswith("_at") and value is not None
        }
        return _KINDS[name](**{**fields, **moments})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # Whoever was killed while writing leaves half a line; the others still count.
        log.error("tool_run_not_read", error=str(error))
        return None
