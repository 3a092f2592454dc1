"""What becomes of calls whose process was killed in the middle of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from parley.core.call import CallInfo
from parley.session.turns import Listening
from parley.settings import Settings
from parley.store.opening import open_store
from parley.store.records import Limits
from tests.api.test_calls import opened

CALL = CallInfo(agent="tester", transport="webrtc", tenant="acme")


@asynccontextmanager
async def doomed(folder: Path, *call_ids: str) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """Processes with one of the calls live in each, until they are killed."""
    command = [sys.executable, "-m", "tests.api.doomed_house", str(folder)]
    starting = (
        asyncio.create_subprocess_exec(*command, call_id, stdout=asyncio.subprocess.PIPE)
        for call_id in call_ids
    )
    processes = await asyncio.gather(*starting)
    try:
        for each in processes:
            assert each.stdout is not None
            assert b"live" in await each.stdout.readline()
        yield processes
    finally:
        for each in processes:
            if each.returncode is None:
                each.kill()
            await each.wait()


async def test_a_call_whose_process_was_killed_has_ended_and_is_paid_for(
    listening: Listening, tmp_path: Path
) -> None:
    async with open_store(Settings(data_dir=tmp_path)) as store:
        await store.tenants.add("acme")
        await store.tenants.set_limits("acme", Limits(calls=2, tokens_day=10_000))
    async with doomed(tmp_path, "call_killed", "call_goes_on") as (killed, _):
        killed.kill()
        await killed.wait()
        killed_at = datetime.now(UTC)
        async with opened(listening, tmp_path, database_url=None) as office:
            await office.access.ledger.settled()
            await office.history.settled()
            usage, _ = await office.store.usage.of("acme", killed_at)
            await office.access.ledger.reserve(CALL)
            call = (await office.acme.get("/v1/calls/call_killed")).json()
            other = (await office.acme.get("/v1/calls/call_goes_on")).json()
            listed = (await office.acme.get("/v1/calls?live=false")).json()["data"]
            said = (await office.acme.get("/v1/calls/call_killed/transcript")).json()

    (turn, reply) = said["data"]
    used_at = call["tools"][0]["at"]
    assert (call["status"], call["reason"]) == ("ended", "error")
    assert "cut off" in call["detail"]
    assert turn["at"] < reply["at"] < used_at <= call["ended_at"]
    assert datetime.fromisoformat(call["ended_at"]) <= killed_at
    assert (other["status"], other["ended_at"], other["detail"]) == ("unknown", None, None)
    assert {each["id"]: each["status"] for each in listed} == {
        "call_killed": "ended",
        "call_goes_on": "unknown",
    }
    assert (usage.tokens, usage.characters) == (42, 8)
