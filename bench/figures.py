"""Figures: percentiles, a table for people, one flat JSON object for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Figure = float | int | str | bool | None


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of the values don't exceed."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Iterable[float]) -> float:
    """The middle value; between the two middle ones where there are two."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they must be; the first one to the left, the others to the right."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    print(f"\n{title}")
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  " + "  ".join(cells).rstrip())


def show(value: float, digits: int = 0, unit: str = "") -> str:
    """A number for the table; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}{unit}"


def write_json(path: Path, figures: Mapping[str, Figure]) -> None:
    """One flat object; what could not be measured is null."""
    rounded = {name: _plain(value) for name, value in figures.items()}
    path.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")


def _plain(value: Figure) -> Figure:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 3)
    return value
