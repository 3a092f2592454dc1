"""What could not be charged while the database was away, kept in a file until it can."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
from datetime import datetime
from pathlib import Path

from parley.core.log import get_logger
from parley.store.records import Amounts

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settlement:
    """A charge that is due. ``reservation_id`` is "" where nothing had been set aside."""

    tenant: str
    made_at: datetime
    used: Amounts
    reservation_id: str = ""
    renewed_with: Amounts = field(default_factory=Amounts)


class Spool:
    """Settlements in a file, one JSON object per line."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def keep(self, settlements: Iterable[Settlement]) -> None:
        """Write them down; they are taken at the next start."""
        lines = [json.dumps(_to_dict(settlement)) + "\n" for settlement in settlements]
        if not lines:
            return
        try:
            with self._file.open("a", encoding="utf-8") as stream:
                stream.writelines(lines)
        except OSError as error:
            log.error("usage_lost", settlements=len(lines), error=str(error))

    def take(self) -> list[Settlement]:
        """Those that were kept; from now on they are the taker's."""
        mine = self._file.with_suffix(f".{os.getpid()}")
        try:
            # One of several servers gets them all.
            self._file.rename(mine)
            lines = mine.read_text(encoding="utf-8").splitlines()
            mine.unlink()
        except FileNotFoundError:
            return []
        except OSError as error:
            log.error("unsettled_usage_not_read", file=str(self._file), error=str(error))
            return []
        return [settlement for line in lines if (settlement := _from_line(line))]


def _to_dict(settlement: Settlement) -> dict[str, object]:
    return {
        "tenant": settlement.tenant,
        "made_at": settlement.made_at.isoformat(),
        "used": astuple(settlement.used),
        "reservation_id": settlement.reservation_id,
        "renewed_with": astuple(settlement.renewed_with),
    }


def _from_line(line: str) -> Settlement | None:
    try:
        read = json.loads(line)
        return Settlement(
            tenant=read["tenant"],
            made_at=datetime.fromisoformat(read["made_at"]),
            used=Amounts(*read["used"]),
            reservation_id=read["reservation_id"],
            renewed_with=Amounts(*read["renewed_with"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        # A disk that was full leaves half a line; the others still count.
        log.error("unsettled_usage_not_read", line=line, error=str(error))
        return None
