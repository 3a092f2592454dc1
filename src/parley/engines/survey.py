"""Every engine that is installed: is it set up, does it answer, is its model there, how fast?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import ParleyError
from parley.engines.found import FoundEngines, Spec
from parley.engines.offline import kept_offline, offline_status
from parley.engines.options import options_for
from parley.engines.spec import ChatOptions, Kind, SpeechOptions, Status, TranscribeOptions
from parley.engines.wish import EngineWish

CHECK_LIMIT_S = 5.0
PROBE_LIMIT_S = 30.0
PROBE_RATE_HZ = 16_000
PROBE_SOUND_MS = 500

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
    def cells(self) -> tuple[str, ...]:
        status = self.status
        if status is None:
            return (self.kind, self.engine, "no", _UNKNOWN, _UNKNOWN, _UNKNOWN)
        # An engine that misses only its model was reached.
        is_reached = status.ok or bool(status.missing_model)
        model = "yes" if status.ok else f"no: {status.missing_model}"
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
        if report.status and not report.status.ok and report.status.hint
    ]
    return "\n".join(table + hints)


async def _report(spec: Spec, values: Mapping[str, Any], is_offline: bool) -> EngineReport:
    try:
        options = options_for(spec, EngineWish(spec.name), values)
        if not spec.available(options):
            return EngineReport(spec.kind, spec.name, None)
        if is_offline and (status := offline_status(spec, options)):
            return EngineReport(spec.kind, spec.name, status)
        engine = spec.open(kept_offline(options) if is_offline else options)
    except ParleyError as error:
        return EngineReport(spec.kind, spec.name, Status(False, error.message, error.hint))
    try:
        async with asyncio.timeout(CHECK_LIMIT_S):
            status = await engine.check()
        took_ms = await _first_byte_ms(spec.kind, engine) if status.ok else None
        return EngineReport(spec.kind, spec.name, status, took_ms)
    except TimeoutError:
        return EngineReport(spec.kind, spec.name, Status(False, "it took too long to answer"))
    except Exception as error:
        # Any package may bring an engine; one that breaks is a row of the table.
        return EngineReport(spec.kind, spec.name, Status(False, str(error) or repr(error)))
    finally:
        await engine.close()


async def _first_byte_ms(kind: Kind, engine: Any) -> float:
    async with asyncio.timeout(PROBE_LIMIT_S):
        await engine.warm_up()
        started_s = time.perf_counter()
        results: AsyncIterator[Any] = _asked(kind, engine)
        async with aclosing(cast(Any, results)) as answers:
            await anext(answers, None)
        return (time.perf_counter() - started_s) * 1000


def _asked(kind: Kind, engine: Any) -> AsyncIterator[Any]:
    if kind == "stt":
        return engine.transcribe(_silence(), TranscribeOptions())
    if kind == "llm":
        messages = [{"role": "user", "content": "Say hello."}]
        return engine.chat(messages, [], ChatOptions(max_tokens=8))
    return engine.synthesize("Hello.", SpeechOptions())


async def _silence() -> AsyncIterator[Audio]:
    yield Audio(bytes(pcm_bytes(PROBE_SOUND_MS, PROBE_RATE_HZ)), PROBE_RATE_HZ)
