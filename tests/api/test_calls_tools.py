"""A call is seen with what its tools did, and how long its replies took."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from parley.session.turns import Listening
from parley.store.records import ToolRunEnd, ToolRunRecord, ToolUseRecord, TurnRecord
from tests.api.test_calls import LONG_AGO, Office, opened


@pytest.fixture
async def office(
    listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Office]:
    monkeypatch.setattr("parley.access.ring.FRESH_S", 0.0)
    async with opened(listening, tmp_path) as office:
        yield office


async def test_tools_and_the_time_of_each_reply_are_told(office: Office) -> None:
    await office.over("call_1")
    await office.store.calls.used(ToolUseRecord("call_1", "book", 12, "", LONG_AGO))
    await office.store.calls.used(ToolUseRecord("call_1", "clock", 0, "Broke.", LONG_AGO))
    stages = {"llm_ms": 80.5, "reply_ms": 640.0}
    await office.store.calls.said(TurnRecord("call_1", "user", "Nine?", LONG_AGO))
    await office.store.calls.said(TurnRecord("call_1", "agent", "Yes,", LONG_AGO, stages, True))

    one = (await office.acme.get("/v1/calls/call_1")).json()
    told = (await office.acme.get("/v1/calls/call_1/transcript")).json()

    assert (one["status"], one["duration_s"]) == ("ended", 90.0)
    assert [(tool["name"], tool["after_ms"], tool["error"]) for tool in one["tools"]] == [
        ("book", 12, None),
        ("clock", 0, "Broke."),
    ]
    assert [(turn["interrupted"], turn["stages"]) for turn in told["data"]] == [
        (False, None),
        (True, stages),
    ]


async def test_what_tools_did_in_a_call_is_told_in_order(office: Office) -> None:
    await office.over("call_1")
    for number, call_id in enumerate(["call_1", "call_1", "call_2"]):
        at = LONG_AGO + timedelta(seconds=number)
        run = ToolRunRecord(f"run_{number}", "acme", call_id, "tester", "book", at, at)
        await office.store.tool_runs.began(replace(run, arguments={"slot": number}))
    ended = ToolRunEnd("run_1", "answered", LONG_AGO, 12, '{"booked":1}')
    await office.store.tool_runs.ended(ended)

    one = (await office.acme.get("/v1/calls/call_1")).json()

    assert [(run["id"], run["arguments"], run["state"]) for run in one["tool_runs"]] == [
        ("run_0", {"slot": 0}, "open"),
        ("run_1", {"slot": 1}, "answered"),
    ]
    assert one["tool_runs"][1]["answer"] == {"booked": 1}
