"""Runs of tools, webhooks and signing secrets on their shelves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from parley.settings import Settings
from parley.store.opening import Store, open_database, open_store
from parley.store.records import CallRecord, RunQuery, ToolRunEnd, ToolRunRecord, WebhookRecord
from parley.store.tool_runs import CUT_OFF

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CALL = CallRecord("call_1", "acme", "front", "webrtc", "inbound", "", NOON)
RUN = ToolRunRecord(
    id="run_1",
    tenant="acme",
    call_id="call_1",
    agent="front",
    tool="book",
    started_at=NOON,
    expires_at=NOON + timedelta(seconds=30),
    provider="webhook",
    tool_call_id="1",
    idempotency_key="f" * 64,
    arguments={"name": "Ada", "at": "10:00"},
)
ANSWERED = ToolRunEnd("run_1", "answered", NOON + timedelta(seconds=1), 1000, '{"booked":true}')
FAILED = ToolRunEnd("run_1", "failed", NOON + timedelta(seconds=5), 5000, "", "timed_out", "Slow.")
HOOK = WebhookRecord("hook_1", "acme", "http://n8n/hook", ("call_ended",), "whsec_1", NOON)


async def test_a_run_is_kept_once_with_what_it_ended_with(store: Store) -> None:
    for _ in range(2):
        await store.tool_runs.began(RUN)
    await store.tool_runs.ended(ANSWERED)
    await store.tool_runs.ended(replace(ANSWERED, state="failed", error="Again."))

    (kept,) = await store.tool_runs.of("acme")

    assert kept == replace(
        RUN, state="answered", answer='{"booked":true}', ended_at=ANSWERED.ended_at, after_ms=1000
    )
    assert await store.tool_runs.get("run_1") == kept
    assert await store.tool_runs.of("other") == []


@pytest.mark.parametrize("comes_before_the_end", [True, False])
async def test_a_late_answer_stays_with_why_nobody_waited(
    store: Store, comes_before_the_end: bool
) -> None:
    await store.tool_runs.began(RUN)
    if not comes_before_the_end:
        await store.tool_runs.ended(FAILED)
    first = await store.tool_runs.came_late("run_1", '{"booked":true}')
    second = await store.tool_runs.came_late("run_1", '{"booked":false}')
    await store.tool_runs.ended(FAILED)

    kept = await store.tool_runs.get("run_1")

    assert (first, second) == (True, False)
    assert kept is not None
    assert (kept.state, kept.answer) == ("late", '{"booked":true}')
    assert (kept.error_code, kept.after_ms) == ("timed_out", 5000)


async def test_a_run_that_was_answered_takes_no_late_answer(store: Store) -> None:
    await store.tool_runs.began(RUN)
    await store.tool_runs.ended(ANSWERED)

    assert not await store.tool_runs.came_late("run_1", "{}")
    assert not await store.tool_runs.came_late("run_2", "{}")


async def test_runs_that_nobody_ends_are_given_up(store: Store) -> None:
    await store.tool_runs.began(RUN)
    await store.tool_runs.began(replace(RUN, id="run_2", expires_at=NOON + timedelta(hours=1)))

    given_up = await store.tool_runs.give_up(NOON + timedelta(minutes=1))
    runs = {run.id: run for run in await store.tool_runs.of("acme")}
    late = await store.tool_runs.came_late("run_1", "{}")

    assert given_up == 1
    assert (runs["run_1"].state, runs["run_1"].error_code) == ("failed", CUT_OFF)
    assert runs["run_2"].state == "open"
    assert late


async def test_runs_are_found_by_call_and_tool_a_page_at_a_time(store: Store) -> None:
    for number in range(4):
        await store.tool_runs.began(
            replace(
                RUN,
                id=f"run_{number}",
                tool="book" if number % 2 else "free_times",
                call_id=f"call_{number // 2}",
                started_at=NOON + timedelta(seconds=number // 2),
            )
        )

    first = await store.tool_runs.of("acme", limit=3)
    rest = await store.tool_runs.of("acme", before=first[-1], limit=3)
    booked = await store.tool_runs.of("acme", RunQuery(tool="book", call_id="call_0"))

    assert [run.id for run in first] == ["run_2", "run_3", "run_0"]
    assert [run.id for run in rest] == ["run_1"]
    assert [run.id for run in booked] == ["run_1"]


async def test_what_is_kept_of_a_call_goes_with_it(settings: Settings) -> None:
    async with open_store(settings) as store, open_database(settings) as database:
        await store.calls.began(CALL)
        await store.tool_runs.began(RUN)
        await store.tool_runs.began(replace(RUN, id="run_2", call_id="turn_1"))
        async with database.write() as connection:
            await connection.execute(text("DELETE FROM calls"))
        without_call = await store.tool_runs.of("acme")
        await store.webhooks.add(HOOK, most=1)
        async with database.write() as connection:
            await connection.execute(text("DELETE FROM tenants WHERE name = 'acme'"))
        without_tenant = await store.tool_runs.of("acme"), await store.webhooks.all()

    assert [run.id for run in without_call] == ["run_2"]
    assert without_tenant == ([], [])


async def test_a_run_that_is_written_before_its_call_goes_with_it_too(settings: Settings) -> None:
    async with open_store(settings) as store, open_database(settings) as database:
        await store.tool_runs.began(RUN)
        await store.calls.began(CALL)
        async with database.write() as connection:
            await connection.execute(text("DELETE FROM calls"))
        left = await store.tool_runs.of("acme")

    assert left == []


async def test_webhooks_are_their_tenants_and_no_more_than_it_may_have(store: Store) -> None:
    added = [
        await store.webhooks.add(replace(HOOK, id=f"hook_{number}"), most=2) for number in range(3)
    ]

    theirs = await store.webhooks.all("acme")
    removed = [
        await store.webhooks.remove("other", "hook_0"),
        await store.webhooks.remove("acme", "hook_0"),
        await store.webhooks.remove("acme", "hook_0"),
    ]

    assert added == [True, True, False]
    assert [each.id for each in theirs] == ["hook_0", "hook_1"]
    assert theirs[0] == replace(HOOK, id="hook_0")
    assert removed == [False, True, False]
    assert [each.id for each in await store.webhooks.all()] == ["hook_1"]


async def test_a_tenant_keeps_its_signing_secret_until_it_is_rotated(store: Store) -> None:
    first = await store.tenants.secret_of("new")
    again = await store.tenants.secret_of("new")
    other = await store.tenants.secret_of("other")
    rotated = await store.tenants.rotate_secret("new")

    assert first == again
    assert len({first, other, rotated}) == 3
    assert await store.tenants.secret_of("new") == rotated
