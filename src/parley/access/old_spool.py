"""Usage that an older Parley could not charge and left in ``unsettled.jsonl``."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

from parley.core.log import get_logger
from parley.store.records import Amounts, Settlement
from parley.store.usage_journal import UsageJournal

log = get_logger(__name__)


def carry_over(folder: Path, journal: UsageJournal) -> None:
    """Put it into the journal. Several servers may do so at once: each line counts once."""
    # One that was taken by a process of its time and killed there has its number as its suffix.
    for file in sorted(folder.glob("unsettled.*")):
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            for line in lines:
                if settlement := _from_line(line):
                    journal.note(settlement)
            file.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.error("unsettled_usage_not_read", file=str(file), error=str(error))


def _from_line(line: str) -> Settlement | None:
    try:
        read = json.loads(line)
        return Settlement(
            # Where nothing had been set aside, the line itself is the only name there is.
            id=read["reservation_id"] or f"old_{hashlib.sha256(line.encode()).hexdigest()[:24]}",
            tenant=read["tenant"],
            made_at=datetime.fromisoformat(read["made_at"]),
            used=Amounts(*read["used"]),
            renewed_with=Amounts(*read["renewed_with"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        # A disk that was full leaves half a line; the others still count.
        log.error("unsettled_usage_not_read", line=line, error=str(error))
        return None
