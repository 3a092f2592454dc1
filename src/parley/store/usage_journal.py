"""What calls and requests use, on disk while they use it and charged when they are over."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.store.journal import MOST_WAITING, Journal
from parley.store.records import Amounts, Settlement

if TYPE_CHECKING:
    from parley.store.usage import Usage

log = get_logger(__name__)

FORGET_EVERY_S = 3600.0
# As long as the file of a process may lie about that was killed between charging and emptying it.
FORGET_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SoFar(Settlement):
    """What has been used up to now: it is charged if its process is killed before the end."""

    @classmethod
    def of(cls, due: Settlement) -> SoFar:
        """What would be due if it ended now."""
        return cls(due.id, due.tenant, due.made_at, due.used, due.renewed_with)


_KINDS: dict[str, type[Settlement]] = {"settled": Settlement, "so_far": SoFar}


class UsageJournal(Journal[Settlement]):
    """The usage of one process. Whoever takes over a file charges what was live in it, too."""

    def __init__(self, usage: Usage, folder: Path, *, most: int = MOST_WAITING) -> None:
        super().__init__("usage", folder, _KINDS, most)
        self._usage = usage
        self._live: dict[str, SoFar] = {}
        self._forget_at_s = 0.0

    def note(self, entry: Settlement) -> None:
        """It is over: charge it."""
        self._live.pop(entry.id, None)
        super().note(entry)

    def note_so_far(self, entries: Iterable[SoFar]) -> None:
        """Have it charged should this process be killed now."""
        told = {entry.id: entry for entry in entries}
        self._live.update(told)
        if self._write(list(told.values())):
            self._forget_what_is_put()

    def _standing(self) -> Sequence[Settlement]:
        return list(self._live.values())

    def _inherit(self, process: str, entries: list[Settlement]) -> list[Settlement]:
        # The last word about each has all that went before.
        return list({entry.id: entry for entry in entries}.values())

    async def _put(self, entry: Settlement) -> None:
        await self._usage.settle(entry)

    def _entry(self, kind: type[Settlement], fields: dict[str, Any]) -> Settlement:
        for name in ("used", "renewed_with"):
            fields[name] = Amounts(**fields[name])
        return kind(**fields)

    async def _tend(self) -> float:
        if time.monotonic() >= self._forget_at_s:
            self._forget_at_s = time.monotonic() + FORGET_EVERY_S
            try:
                await self._usage.forget_charges(datetime.now(UTC) - FORGET_AFTER)
            except ParleyError as error:
                log.warning("charges_not_forgotten", error=str(error))
        return max(0.0, self._forget_at_s - time.monotonic())
