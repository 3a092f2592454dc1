"""What was said and done in calls, on disk at once and in the database as soon as it takes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from parley.store.journal import MOST_WAITING, Journal
from parley.store.records import CallEnd, CallRecord, ToolUseRecord, TurnRecord

if TYPE_CHECKING:
    from parley.store.calls import Calls

CallEntry = CallRecord | TurnRecord | ToolUseRecord | CallEnd
_KINDS: dict[str, type[CallEntry]] = {
    "began": CallRecord,
    "said": TurnRecord,
    "used": ToolUseRecord,
    "ended": CallEnd,
}


class CallJournal(Journal[CallEntry]):
    """The calls of one process, in the order in which everything happened."""

    def __init__(self, calls: Calls, folder: Path, *, most: int = MOST_WAITING) -> None:
        super().__init__("calls", folder, _KINDS, most)
        self._calls = calls

    async def _put(self, entry: CallEntry) -> None:
        match entry:
            case CallRecord():
                await self._calls.began(entry)
            case TurnRecord():
                await self._calls.said(entry)
            case ToolUseRecord():
                await self._calls.used(entry)
            case CallEnd():
                await self._calls.ended(entry.id, entry.reason, entry.ended_at)
