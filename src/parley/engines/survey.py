"""Every engine that is installed: is it set up, does it answer, is its model there, how fast?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parley.engines.fallback.probe import ask_briefly
from parley.engines.found import FoundEngines, Spec
from parley.engines.offline import kept_offline, offline_status
from parley.engines.opened import Opened, refusal
from parley.engines.options import options_for
from parley.engines.spec import Kind, Status
from parley.engines.wish import EngineWish

PROBE_LIMIT_S = 30.0

_HEADINGS = ("kind", "engine", "configured", "reachable", "model present", "first byte")
_UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What one engine is good for now. ``status`` is None when nobody set it up."""

    kind: Kind
    engine: str
    status: Status | None
    first_byte_ms: float | None = None

    @property
    def is_configured(self) -> bool:
        return self.status is not None

    @property
    def is_complete(self) -> bool:
        """Whether it can work, with its model on every server."""
        return self.status is not None and self.status.ok and not self.status.missing_model

    @property
    def cells(self) -> tuple[str, ...]:
        status = self.status
        if status is None:
            return (self.kind, self.engine, "no", _UNKNOWN, _UNKNOWN, _UNKNOWN)
        # An engine that misses only its model was reached.
        is_reached = status.ok or bool(status.missing_model)
        model = "yes" if status.ok else "no"
        if status.missing_model:
            model = f"{'not everywhere' if status.ok else 'no'}: {status.missing_model}"
        took = f"{self.first_byte_ms:.0f} ms" if self.first_byte_ms is not None else _UNKNOWN
        return (
            self.kind,
            self.engine,
            "yes",
            "yes" if is_reached else f"no: {status.detail}",
            model if is_reached else _UNKNOWN,
            took,
        )


async def survey(
    found: FoundEngines, values: Mapping[str, Any], *, is_offline: bool = False
) -> list[EngineReport]:
    """Ask every engine in turn, so that none slows another down; none is left open.

    Offline, those beyond this network are told of and not asked.
    """
    return [await _report(spec, values, is_offline) for spec in found.all()]


def format_survey(reports: Sequence[EngineReport]) -> str:
    """Columns for a terminal, a row per engine, and what to do about those that can't work."""
    lines = [_HEADINGS, *(report.cells for report in reports)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    hints = [
        f"{report.kind} {report.engine}: {report.status.hint}"
        for report in reports
        if report.status and report.status.hint and not report.is_complete
    ]
    return "\n".join(table + hints)


async def _report(spec: Spec, values: Mapping[str, Any], is_offline: bool) -> EngineReport:
    try:
        options = options_for(spec, EngineWish(spec.name), values)
        if not spec.available(options):
            return EngineReport(spec.kind, spec.name, None)
        if is_offline and (status := offline_status(spec, options)):
            return EngineReport(spec.kind, spec.name, status)
        opened = Opened(spec, kept_offline(options) if is_offline else options)
    except Exception as error:
        # Any package may bring an engine; one that breaks is a row of the table.
        return EngineReport(spec.kind, spec.name, refusal(error))
    try:
        status = await opened.status()
        took_ms = await _first_byte_ms(opened) if status.ok else None
        return EngineReport(spec.kind, spec.name, status, took_ms)
    except TimeoutError:
        return EngineReport(spec.kind, spec.name, Status(False, "it took too long to answer"))
    except Exception as error:
        # Any package may bring an engine; one that breaks is a row of the table.
        return EngineReport(spec.kind, spec.name, refusal(error))
    finally:
        await opened.close()


async def _first_byte_ms(opened: Opened) -> float:
    async with asyncio.timeout(PROBE_LIMIT_S):
        await opened.warm()
        started_s = time.perf_counter()
        await ask_briefly(opened.spec.kind, opened.engine)
        return (time.perf_counter() - started_s) * 1000
