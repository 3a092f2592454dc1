"""Everything that can go wrong with a service has its own sentence, which a caller can hear."""

from __future__ import annotations

import asyncio

import pytest

from parley.tools.webhook.answer import LARGEST_BODY_BYTES
from tests.tools.webhook import desk as desks
from tests.tools.webhook.desk import Desk
from tests.tools.webhook_server import (
    N8N_BAD_JSON,
    N8N_BROKEN,
    N8N_NEVER_RESPONDED,
    N8N_OWN_502,
    N8N_STARTED,
    N8N_TIMED_OUT,
    N8N_UNKNOWN_PATH,
    N8N_WRONG_KEY,
    Answer,
    StandIn,
    good,
    says,
)

BROKEN = "has a problem of its own."
UNREADABLE = "answered something that I can't read."
A_FILE = "answered with a file, which I can't read out."
TOO_LARGE = "answered more than I can take in."
ROWS = {
    "a workflow that breaks": (N8N_BROKEN, BROKEN),
    "a workflow that runs out of time": (N8N_TIMED_OUT, BROKEN),
    "a workflow that never responds": (N8N_NEVER_RESPONDED, "gave no answer."),
    "a workflow that was only started": (N8N_STARTED, UNREADABLE),
    "a wrong key": (N8N_WRONG_KEY, "doesn't let me in."),
    "an unpublished workflow": (N8N_UNKNOWN_PATH, "isn't there any more."),
    "a body that n8n can't read": (N8N_BAD_JSON, "did not understand the request."),
    "a workflow's own 502": (N8N_OWN_502, "isn't working right now."),
    "a wrong method": (says({}, 405), "isn't there any more."),
    "no place": (says({}, 429), "is too busy right now."),
    "JSON that is no envelope": (says({"rooms": []}), UNREADABLE),
    "an envelope without its error": (says({"ok": False}), UNREADABLE),
    "a flag of the wrong type": (says({"ok": "true"}), UNREADABLE),
    "a list": (says([1, 2]), UNREADABLE),
    "a bare null": (Answer(200, b"null"), "gave no answer."),
    "broken JSON": (Answer(200, b'{"ok": tr'), UNREADABLE),
    "a page": (Answer(200, b"<html>Log in</html>", "text/html"), UNREADABLE),
    "an image": (Answer(200, b"\x89PNG\r\n", "image/png"), A_FILE),
    "bytes that are no text": (Answer(200, b"\xff\xfe\x00", "application/json"), A_FILE),
    "a compressed answer": (
        Answer(200, b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
        UNREADABLE,
    ),
    "an announced giant": (
        Answer(200, b"{}", headers={"Content-Length": str(30_000_000)}),
        TOO_LARGE,
    ),
    "a giant": (Answer(200, b" " * (LARGEST_BODY_BYTES + 1)), TOO_LARGE),
    "a connection that is dropped": (
        Answer(drops="at once"),
        "stopped in the middle of its answer.",
    ),
    "half an answer": (
        Answer(200, b'{"ok": true}', drops="halfway"),
        "stopped in the middle of its answer.",
    ),
}


@pytest.mark.parametrize("row", ROWS)
async def test_each_failure_has_its_own_sentence(desk: Desk, row: str):
    answer, sentence = ROWS[row]
    desk.server.answers = [answer]

    assert await desk.refused(desk.tool()) == f"The service for free rooms {sentence}"


async def test_a_redirect_is_not_followed(desk: Desk):
    elsewhere = {"Location": f"{desk.server.url}/secret"}
    desk.server.answers = [Answer(302, b"", headers=elsewhere), good("secret")]

    sentence = await desk.refused(desk.tool())

    assert sentence == "The service for free rooms has moved."
    assert [sent.path for sent in desk.server.received] == ["/rooms"]


async def test_a_service_that_hangs_is_given_up_in_time_and_let_go(desk: Desk):
    desk.server.answers = [Answer(hangs=True)]

    sentence = await desk.refused(desk.tool(timeout_s=0.2))

    assert sentence == "The service for free rooms did not answer in time."
    await asyncio.wait_for(desk.server.gone.wait(), 5)


async def test_what_may_have_been_done_is_not_told_as_undone(desk: Desk):
    desk.server.answers = [Answer(hangs=True)]

    sentence = await desk.refused(desk.tool(timeout_s=0.2, changes=True))

    assert sentence == (
        "The service for free rooms did not answer in time. It may have been done all the same, "
        "so check before you try again."
    )


async def test_a_service_that_is_down_is_told_apart_and_has_done_nothing():
    async with desks.open_desk() as desk:
        tool = desk.tool(changes=True)
        await desk.server.close()

        sentence = await desk.refused(tool)

    assert sentence == "The service for free rooms can't be reached right now."


async def test_a_name_that_nobody_knows_is_a_service_that_cannot_be_reached():
    from parley.tools.webhook.destinations import Destinations

    async def nobody(host: str, port: int) -> list[str]:
        raise OSError("unknown")

    async with desks.open_desk(destinations=Destinations(look_up=nobody)) as desk:
        sentence = await desk.refused(desk.tool(url="http://rooms.example.org/"))

    assert sentence == "The service for free rooms can't be reached right now."


async def test_words_of_our_own_tools_servers_are_not_for_callers(desk: Desk):
    desk.server.answers = [says({"message": "SELECT failed at 10.0.0.3"}, 500)]

    assert "10.0.0.3" not in await desk.refused(desk.tool())


async def test_a_caller_who_hangs_up_takes_the_request_along(desk: Desk):
    desk.server.answers = [Answer(hangs=True)]
    using = asyncio.create_task(desk.use(desk.tool()))
    await _received(desk.server)

    using.cancel()
    await asyncio.gather(using, return_exceptions=True)

    await asyncio.wait_for(desk.server.gone.wait(), 5)
    assert using.cancelled()


async def _received(server: StandIn) -> None:
    came = asyncio.Event()
    hangs = server.answers[0]

    async def tell(_: object) -> None:
        came.set()

    hangs.before = tell
    await asyncio.wait_for(came.wait(), 5)
