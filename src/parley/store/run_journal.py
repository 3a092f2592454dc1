"""What befalls runs of tools, on disk at once and in the database as soon as it takes them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.store.forgetting import FOREVER, Forgetting
from parley.store.journal import MOST_WAITING, Journal
from parley.store.records import ToolRunEnd, ToolRunRecord

if TYPE_CHECKING:
    from parley.store.tool_runs import ToolRunShelf

log = get_logger(__name__)

GIVE_UP_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class RunOwner:
    """Whose secret signs what the run's tool sends later."""

    id: str
    owner: str


RunEntry = ToolRunRecord | ToolRunEnd | RunOwner
_KINDS: dict[str, type[RunEntry]] = {
    "began": ToolRunRecord,
    "ended": ToolRunEnd,
    "owned": RunOwner,
}


class RunJournal(Journal[RunEntry]):
    """The runs of one process. It also closes those that nobody is going to end, and forgets what
    is older than ``keeps``."""

    def __init__(
        self,
        shelf: ToolRunShelf,
        folder: Path,
        *,
        keeps: timedelta = FOREVER,
        most: int = MOST_WAITING,
    ) -> None:
        super().__init__("tool-runs", folder, _KINDS, most)
        self._shelf = shelf
        self._forgetting = Forgetting(shelf, keeps)
        self._give_up_at_s = 0.0

    async def _put(self, entry: RunEntry) -> None:
        match entry:
            case ToolRunRecord():
                await self._shelf.began(entry)
            case ToolRunEnd():
                await self._shelf.ended(entry)
            case RunOwner():
                await self._shelf.owned(entry.id, entry.owner)

    async def _tend(self) -> float:
        """Close runs whose process was ended before them, and forget old ones."""
        forget_in_s = GIVE_UP_EVERY_S
        if time.monotonic() >= self._give_up_at_s:
            self._give_up_at_s = time.monotonic() + GIVE_UP_EVERY_S
            try:
                if runs := await self._shelf.give_up(datetime.now(UTC)):
                    log.warning("tool_runs_cut_off", runs=runs)
            except ParleyError as error:
                log.warning("tool_runs_not_given_up", error=str(error))
        try:
            forget_in_s = await self._forgetting.tend()
        except ParleyError as error:
            log.warning("tool_runs_not_forgotten", error=str(error))
        return max(0.0, min(forget_in_s, self._give_up_at_s - time.monotonic()))
