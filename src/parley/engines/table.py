"""The table that start-up and ``parley engines`` print: who does what, where, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any
from urllib.parse import urlsplit

from parley.engines.found import Spec
from parley.engines.spec import EngineOptions

NOT_A_MODEL = "scripted dialogue, not a language model"
HERE = "this machine"

_HEADINGS = ("kind", "engine", "model", "where", "why")
_ADDRESS_OPTIONS = ("base_url", "ws_url", "uri", "url")


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine in use, in words."""

    kind: str
    engine: str
    model: str
    where: str
    why: str


def engine_row(spec: Spec, options: EngineOptions, why: str, share: str = "") -> EngineRow:
    """``share`` is what an engine that computes here got of the machine."""
    where = _where(spec, options) + (f": {share}" if share else "")
    return EngineRow(spec.kind, spec.name, _model(spec, options), where, why)


def format_table(rows: Sequence[EngineRow]) -> str:
    """Columns for a terminal, a row per engine."""
    lines = [_HEADINGS, *(astuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _model(spec: Spec, options: EngineOptions) -> str:
    if spec.kind == "llm" and not spec.is_language_model:
        return NOT_A_MODEL
    return str(
        _first(options, ("model_in_use", "model")) or _first(options, ("voice",)) or spec.summary
    )


def _where(spec: Spec, options: EngineOptions) -> str:
    addresses: str | Sequence[str] | None = _first(options, _ADDRESS_OPTIONS)
    if addresses:
        urls = [addresses] if isinstance(addresses, str) else addresses
        return ", ".join(_host_of(url) for url in urls)
    return HERE if spec.is_offline else "its provider"


def _host_of(url: str) -> str:
    """Host and port: a user and password in the address are nobody's business."""
    return urlsplit(url).netloc.rpartition("@")[2] or url


def _first(options: EngineOptions, names: Sequence[str]) -> Any:
    return next((value for name in names if (value := getattr(options, name, None))), None)
