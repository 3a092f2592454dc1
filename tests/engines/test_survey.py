"""The survey asks every engine, and one that breaks is a row like any other."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from parley.engines.found import engines_from
from parley.engines.spec import EngineSpec, Status
from parley.engines.survey import EngineReport, format_survey, survey
from parley.testing.engines import FakeChatter, FakeTranscriber
from tests.engines.fakes import FakeOptions

WELL = Status(True)


class Mind(FakeChatter):
    """Says how it is; closing it may fail."""

    def __init__(self, status: Status | Exception = WELL, *, can_close: bool = True) -> None:
        super().__init__(lambda _: "Yes.")
        self.status = status
        self.can_close = can_close

    async def check(self) -> Status:
        if isinstance(self.status, Exception):
            raise self.status
        return self.status

    async def close(self) -> None:
        if not self.can_close:
            raise RuntimeError("the socket is stuck")


def spec(name: str, engine: Any, kind: Any = "llm") -> EngineSpec[Any]:
    def opened(_: FakeOptions) -> Any:
        if isinstance(engine, Exception):
            raise engine
        return engine

    return EngineSpec(kind, name, FakeOptions, opened, name, lambda _: True)


async def surveyed(*specs: EngineSpec[Any]) -> list[EngineReport]:
    return await survey(engines_from(specs), {})


async def test_an_engine_that_works_is_timed() -> None:
    [ears, mind] = await surveyed(spec("a", FakeTranscriber("yes"), "stt"), spec("b", Mind()))

    assert ears.first_byte_ms is not None
    assert mind.first_byte_ms is not None


@pytest.mark.parametrize("trouble", [ImportError("no libacme"), RuntimeError("oops")])
async def test_one_that_cannot_be_opened_or_asked_hides_no_other(trouble: Exception) -> None:
    reports = await surveyed(
        spec("shut", trouble), spec("mute", Mind(trouble)), spec("well", Mind())
    )

    assert [report.status and report.status.ok for report in reports] == [False, False, True]
    assert all(str(trouble) in report.cells[3] for report in reports[:2])


async def test_one_that_cannot_be_closed_is_logged_and_hides_no_other() -> None:
    with capture_logs() as logs:
        reports = await surveyed(spec("stuck", Mind(can_close=False)), spec("well", Mind()))

    assert [report.first_byte_ms is not None for report in reports] == [True, True]
    assert [(log["event"], log["error"]) for log in logs] == [
        ("engine_close_failed", "the socket is stuck")
    ]


async def test_a_model_that_some_servers_lack_is_named() -> None:
    partly = Status(True, "1 of 2 can work", "parley models pull ollama:m", missing_model="m")

    reports = await surveyed(
        spec("partly", Mind(partly)), spec("none", Mind(Status(False, "", "", "m")))
    )

    assert [report.cells[4] for report in reports] == ["not everywhere: m", "no: m"]
    assert "parley models pull ollama:m" in format_survey(reports)
