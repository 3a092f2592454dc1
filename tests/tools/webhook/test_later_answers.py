"""A service may answer later: the call waits until its time is up, and hears of it meanwhile."""

from __future__ import annotations

import asyncio

from tests.tools.webhook.desk import Desk
from tests.tools.webhook_server import Answer, Received, good, says

PENDING = says({"ok": True, "pending": True}, 202)


async def answers_later(desk: Desk, run_id: str, result: object) -> str:
    return await desk.house.runs.answer(run_id, {"ok": True, "result": result})


async def pending(desk: Desk, answer: Answer) -> tuple[asyncio.Task[object], str]:
    """A use that waits for its answer, and the id of its run."""
    sent: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def tell(received: Received) -> None:
        sent.set_result(received.json["run_id"])

    answer = Answer(answer.status, answer.body, hangs=answer.hangs, before=tell)
    desk.server.answers = [answer]
    using = asyncio.create_task(desk.use(desk.tool(timeout_s=5)))
    return using, await asyncio.wait_for(sent, 5)


async def test_the_call_gets_the_answer_that_comes_later(desk: Desk):
    using, run_id = await pending(desk, PENDING)

    delivered = await answers_later(desk, run_id, {"rooms": 2})

    assert delivered == "call"
    assert await using == {"rooms": 2}
    assert await answers_later(desk, run_id, {"rooms": 9}) == "duplicate"


async def test_the_caller_hears_what_the_service_says_meanwhile(desk: Desk):
    using, run_id = await pending(
        desk, says({"ok": True, "pending": True, "say": "A moment."}, 202)
    )
    await asyncio.wait_for(desk.was_told.wait(), 5)

    await desk.house.runs.progress(run_id, "Nearly there.")
    await answers_later(desk, run_id, 1)

    assert await using == 1
    assert desk.told == ["A moment.", "Nearly there."]


async def test_an_answer_that_overtakes_the_http_answer_counts(desk: Desk):
    using, run_id = await pending(desk, Answer(hangs=True))

    await answers_later(desk, run_id, {"rooms": 2})

    assert await using == {"rooms": 2}
    await asyncio.wait_for(desk.server.gone.wait(), 5)


async def test_a_failure_that_comes_later_is_a_failure(desk: Desk):
    using, run_id = await pending(desk, PENDING)
    error = {"code": "taken", "message": "That room is taken."}

    await desk.house.runs.answer(run_id, {"ok": False, "error": error})

    (failure,) = await asyncio.gather(using, return_exceptions=True)
    assert str(failure) == "That room is taken."


async def test_an_answer_after_the_time_is_up_is_late(desk: Desk):
    desk.server.answers = [PENDING]

    sentence = await desk.refused(desk.tool(timeout_s=0.2))

    run_id = desk.server.received[0].json["run_id"]
    assert sentence == "The service for free rooms did not answer in time."
    assert await answers_later(desk, run_id, 1) == "late"
    assert await answers_later(desk, run_id, 1) == "duplicate"


async def test_an_answer_after_the_caller_interrupted_is_late(desk: Desk):
    using, run_id = await pending(desk, Answer(hangs=True))

    using.cancel()
    await asyncio.gather(using, return_exceptions=True)

    assert await answers_later(desk, run_id, 1) == "late"


async def test_two_uses_at_once_get_each_its_own_answer(desk: Desk):
    first, first_id = await pending(desk, PENDING)
    second, second_id = await pending(desk, PENDING)

    await answers_later(desk, second_id, "second")
    await answers_later(desk, first_id, "first")

    assert (await first, await second) == ("first", "second")


async def test_an_http_answer_closes_the_run_for_others(desk: Desk):
    desk.server.answers = [good("at once")]

    await desk.use(desk.tool())

    assert await answers_later(desk, desk.server.received[0].json["run_id"], 1) == "duplicate"
