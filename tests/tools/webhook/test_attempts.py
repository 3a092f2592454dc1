"""A second attempt is made only where it can do no harm, and a dead service is left alone."""

from __future__ import annotations

import pytest

from parley.core.errors import ToolFailed
from parley.tools.rules import ToolRules, with_rules
from tests.tools.webhook.desk import Desk, open_desk
from tests.tools.webhook_server import N8N_BROKEN, Answer, good, says

DROPS = Answer(drops="at once")
RETRYABLE = says({"ok": False, "error": {"code": "locked", "message": "x", "retryable": True}})
FINAL = says({"ok": False, "error": {"code": "taken", "message": "Taken.", "retryable": False}})


@pytest.mark.parametrize("changes", [False, True])
@pytest.mark.parametrize("first", [says({}, 502), says({}, 503), says({}, 504), RETRYABLE])
async def test_what_may_pass_is_tried_again_with_the_same_key(desk: Desk, first, changes: bool):
    desk.server.answers = [first, good("done")]

    result = await desk.use(desk.tool(changes=changes))

    one, two = desk.server.received
    assert result == "done"
    assert one.headers["idempotency-key"] == two.headers["idempotency-key"]
    assert one.json["run_id"] == two.json["run_id"]


@pytest.mark.parametrize("first", [N8N_BROKEN, FINAL, says({"rooms": 1}), Answer(200, b"")])
async def test_what_will_not_pass_is_not_tried_again(desk: Desk, first: Answer):
    desk.server.answers = [first, good("done")]

    await desk.refused(desk.tool())

    assert len(desk.server.received) == 1


async def test_it_is_tried_twice_and_no_more(desk: Desk):
    desk.server.answers = [says({}, 503)]

    await desk.refused(desk.tool())

    assert len(desk.server.received) == 2


@pytest.mark.parametrize(("changes", "attempts"), [(False, 2), (True, 1)])
async def test_a_broken_line_is_tried_again_only_by_what_changes_nothing(
    desk: Desk, changes: bool, attempts: int
):
    desk.server.answers = [DROPS]

    await desk.refused(desk.tool(changes=changes))

    assert len(desk.server.received) == attempts


@pytest.mark.parametrize(("changes", "attempts"), [(False, 2), (True, 1)])
async def test_a_stranger_s_api_is_not_asked_twice_for_a_change(
    desk: Desk, changes: bool, attempts: int
):
    desk.server.answers = [says({}, 503)]

    await desk.refused(desk.tool(envelope="plain", changes=changes))

    assert len(desk.server.received) == attempts


async def test_nothing_is_tried_again_when_the_time_is_up(desk: Desk):
    desk.server.answers = [Answer(hangs=True)]

    await desk.refused(desk.tool(timeout_s=0.2))

    assert len(desk.server.received) == 1


async def test_a_service_that_keeps_failing_is_left_alone(desk: Desk):
    desk.server.answers = [DROPS]
    tool = desk.tool(changes=True)
    for _ in range(3):
        await desk.refused(tool)

    sentence = await desk.refused(desk.tool(url=f"{desk.server.url}/other"))

    assert sentence == "The service for free rooms isn't working right now."
    assert len(desk.server.received) == 3


async def test_one_broken_workflow_does_not_keep_us_from_the_others(desk: Desk):
    desk.server.answers = [N8N_BROKEN]
    for _ in range(5):
        await desk.refused(desk.tool())
    desk.server.answers = [good("fine")]

    assert await desk.use(desk.tool(url=f"{desk.server.url}/other")) == "fine"


async def test_one_slow_workflow_is_left_alone_and_the_others_are_not(desk: Desk):
    desk.server.answers = [Answer(hangs=True)]
    slow = desk.tool(timeout_s=0.05)
    for _ in range(3):
        await desk.refused(slow)
    desk.server.answers = [good("fine")]

    sentence = await desk.refused(slow)
    other = await desk.use(desk.tool(url=f"{desk.server.url}/other"))

    assert sentence == "The service for free rooms isn't working right now."
    assert other == "fine"


async def test_connections_are_kept_between_calls_of_all_tools(desk: Desk):
    for path in ("rooms", "prices", "rooms"):
        await desk.use(desk.tool(url=f"{desk.server.url}/{path}"))

    assert desk.server.connections == 1


async def test_a_house_that_is_closed_sends_nothing():
    async with open_desk() as desk:
        tool = desk.tool()
        await desk.house.close()

        with pytest.raises(ToolFailed, match="can't be reached"):
            await desk.use(tool)


async def test_what_an_agent_s_own_rules_say_of_a_tool_holds(desk: Desk):
    rules = {"free_rooms": ToolRules(changes=True, timeout_s=0.2)}
    (ruled,) = with_rules([desk.tool(timeout_s=100)], rules)
    desk.server.answers = [DROPS, Answer(hangs=True)]

    broken = await desk.refused(ruled)
    late = await desk.refused(ruled)

    assert broken.endswith("so check before you try again.")
    assert "did not answer in time" in late
    assert len(desk.server.received) == 2
