"""The worker pool: utterances in other processes, and what happens when those die."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parley.core.errors import EngineFailed, EngineUnavailable
from parley.engines.minded_worker import wait_before_start_s
from parley.engines.workers import Job, WorkerPool

SPELLER = "tests.engines.recognisers:Speller"
SERVER = f"""
import asyncio
import sys
from parley.engines.workers import WorkerPool

async def main():
    pool = WorkerPool({SPELLER!r}, {{}}, size=1)
    await pool.start()
    print(pool.pids[0], file=sys.stderr, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(SPELLER, {}, size=2)
    await pool.start()
    yield pool
    await pool.close()


async def last_text(job: Job) -> str:
    await job.finish()
    texts = [text async for text, is_final in job.results() if is_final]
    await job.close()
    return texts[0]


async def ended(pid: int) -> None:
    """Return when a process that is not our child has ended."""
    descriptor = os.pidfd_open(pid)
    is_over = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, is_over.set)
    try:
        await is_over.wait()
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


async def test_partial_texts_come_while_sound_still_flows(pool: WorkerPool) -> None:
    job = await pool.open({})
    results = job.results()

    await job.send(b"he")
    first = await anext(results)
    await job.send(b"llo")
    second = await anext(results)

    assert [first, second] == [("he", False), ("hello", False)]
    assert await last_text(job) == "HELLO"


async def test_utterances_in_one_worker_do_not_mix() -> None:
    pool = WorkerPool(SPELLER, {}, size=1)
    jobs = [await pool.open({}) for _ in range(3)]

    for letters in (b"abc", b"def"):
        for job, letter in zip(jobs, letters, strict=True):
            await job.send(bytes([letter]))

    assert [await last_text(job) for job in jobs] == ["AD", "BE", "CF"]
    await pool.close()


async def test_an_utterance_waits_until_the_worker_has_room() -> None:
    pool = WorkerPool(SPELLER, {"room": 1}, size=1)
    first, second = await pool.open({}), await pool.open({})

    await second.send(b"late")
    await second.finish()
    await first.close()

    assert [text async for text, final in second.results() if final] == ["LATE"]
    await pool.close()


async def test_what_waits_of_an_utterance_that_is_cancelled_is_never_done(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    pool = WorkerPool(SPELLER, {}, size=1)
    job = await pool.open({})

    await job.send(str(held).encode())
    # It opens when the worker has begun to read: from then on the worker hears nothing else.
    with await asyncio.to_thread(held.open, "w"):
        for _ in range(50):
            await job.send(b"x")
        await job.close()
    counting = await last_text(await pool.open({"counts": True}))
    await pool.close()

    assert counting == "1"


async def test_a_killed_worker_fails_its_own_utterances_only(pool: WorkerPool) -> None:
    doomed, untouched = await pool.open({}), await pool.open({})
    await untouched.send(b"still ")

    os.kill(pool.pids[0], signal.SIGKILL)

    with pytest.raises(EngineFailed):
        await anext(doomed.results())
    await untouched.send(b"here")
    assert await last_text(untouched) == "STILL HERE"


async def test_a_killed_worker_is_started_again() -> None:
    pool = WorkerPool(SPELLER, {}, size=1)
    doomed = await pool.open({})
    before = pool.pids[0]

    os.kill(before, signal.SIGKILL)
    with pytest.raises(EngineFailed):
        await anext(doomed.results())
    job = await pool.open({})
    await job.send(b"back")

    assert await last_text(job) == "BACK"
    assert pool.pids[0] != before
    await pool.close()


async def test_an_utterance_that_the_recogniser_refuses_fails_alone(pool: WorkerPool) -> None:
    refused = await pool.open({"refuse": True})

    with pytest.raises(EngineFailed, match="no such language"):
        await anext(refused.results())

    assert pool.is_healthy


async def test_a_recogniser_that_cannot_be_made_says_so_at_the_start() -> None:
    pool = WorkerPool("tests.engines.recognisers:Broken", {}, size=1)

    with pytest.raises(EngineUnavailable, match="code 3"):
        await pool.start()

    await pool.close()


async def test_closing_the_pool_ends_its_processes() -> None:
    pool = WorkerPool(SPELLER, {}, size=1)
    await pool.start()
    descriptor = os.pidfd_open(pool.pids[0])

    await pool.close()

    with pytest.raises(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, 0)
    os.close(descriptor)


async def test_workers_end_when_the_server_was_killed() -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SERVER,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert server.stderr is not None
    try:
        worker = int(await server.stderr.readline())
        gone = asyncio.create_task(ended(worker))
        await asyncio.sleep(0)
    finally:
        server.kill()
        await server.wait()

    await gone


async def test_an_interrupt_leaves_a_worker_at_work(pool: WorkerPool) -> None:
    job = await pool.open({})
    await job.send(b"on")

    for pid in pool.pids:
        os.kill(pid, signal.SIGINT)

    assert await last_text(job) == "ON"


async def test_a_hung_worker_is_replaced_and_its_utterances_fail() -> None:
    pool = WorkerPool(SPELLER, {}, size=1, answer_limit_s=0.5)
    stuck = await pool.open({})
    before = pool.pids[0]

    await stuck.send(b"sleep")
    with pytest.raises(EngineFailed):
        await anext(stuck.results())
    job = await pool.open({})
    await job.send(b"awake")

    assert await last_text(job) == "AWAKE"
    assert pool.pids[0] != before
    await pool.close()


async def test_a_worker_that_starts_again_holds_nobody_up(pool: WorkerPool) -> None:
    doomed = await pool.open({})
    os.kill(pool.pids[0], signal.SIGKILL)
    with pytest.raises(EngineFailed):
        await anext(doomed.results())

    job = await pool.open({})

    assert not pool.is_healthy
    await job.send(b"go")
    assert await last_text(job) == "GO"


def test_workers_that_die_young_are_started_ever_more_rarely() -> None:
    waits = [wait_before_start_s(deaths) for deaths in range(9)]

    assert waits == [0, 0, 1, 2, 4, 8, 16, 30, 30]


async def test_what_several_workers_note_is_logged_once(
    pool: WorkerPool, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [await pool.open({"note": text}) for text in ("no bleep", "no bleep", "no blop")]

    assert [await last_text(job) for job in jobs] == ["", "", ""]

    logged = caplog.text + capsys.readouterr().out
    assert [logged.count(word) for word in ("no bleep", "no blop")] == [1, 1]
