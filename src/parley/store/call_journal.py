"""What was said and done in calls, on disk at once and in the database as soon as it takes it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.store.forgetting import FOREVER, Forgetting
from parley.store.journal import MOST_WAITING, Journal
from parley.store.records import CallEnd, CallRecord, ToolUseRecord, TurnRecord

if TYPE_CHECKING:
    from parley.store.calls import Calls

log = get_logger(__name__)

SEEN_EVERY_S = 15.0
GIVE_UP_EVERY_S = 900.0
# Nobody tells when a server that never comes back is gone; one that is only cut off from the
# database says in the end how its calls went.
GIVE_UP_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class ProcessGone:
    """A process that ended without ending its calls."""

    id: str


CallEntry = CallRecord | TurnRecord | ToolUseRecord | CallEnd | ProcessGone
_KINDS: dict[str, type[CallEntry]] = {
    "began": CallRecord,
    "said": TurnRecord,
    "used": ToolUseRecord,
    "ended": CallEnd,
    "gone": ProcessGone,
}


class CallJournal(Journal[CallEntry]):
    """The calls of one process, in the order in which everything happened.

    It says now and then that they live, ends those whose process does not any more, and forgets
    what is older than ``keeps``.
    """

    def __init__(
        self,
        calls: Calls,
        folder: Path,
        *,
        keeps: timedelta = FOREVER,
        most: int = MOST_WAITING,
    ) -> None:
        super().__init__("calls", folder, _KINDS, most)
        self._calls = calls
        self._forgetting = Forgetting(calls, keeps)
        self._live: set[str] = set()
        self._see_at_s = 0.0
        self._give_up_at_s = 0.0

    def note(self, entry: CallEntry) -> None:
        match entry:
            case CallRecord():
                self._live.add(entry.id)
                entry = replace(entry, process=self.process)
            case CallEnd():
                self._live.discard(entry.id)
            case _:
                pass
        super().note(entry)

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
            case ProcessGone():
                _tell(await self._calls.cut_off(entry.id))

    def _inherit(self, process: str, entries: list[CallEntry]) -> list[CallEntry]:
        return [*entries, ProcessGone(process)]

    async def _tend(self) -> float:
        now_s = time.monotonic()
        forget_in_s = GIVE_UP_EVERY_S
        try:
            if self._live and now_s >= self._see_at_s:
                self._see_at_s = now_s + SEEN_EVERY_S
                await self._calls.seen(self.process, datetime.now(UTC))
            if now_s >= self._give_up_at_s:
                self._give_up_at_s = now_s + GIVE_UP_EVERY_S
                _tell(await self._calls.give_up(datetime.now(UTC) - GIVE_UP_AFTER))
            forget_in_s = await self._forgetting.tend()
        except ParleyError as error:
            log.warning("calls_not_tended", error=str(error))
        due_at_s = min(self._see_at_s, self._give_up_at_s) if self._live else self._give_up_at_s
        return max(0.0, min(forget_in_s, due_at_s - time.monotonic()))


def _tell(cut_off: int) -> None:
    if cut_off:
        log.warning("calls_cut_off", calls=cut_off)
