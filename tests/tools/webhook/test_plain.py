"""Somebody's HTTP API is a tool as it stands: its methods, its paths, its answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tools.webhook.desk import Desk, open_desk
from tests.tools.webhook_server import Answer, says

ROOM = {
    "properties": {"room": {"type": "string"}, "nights": {"type": "integer"}},
    "required": ["room"],
}


def plain(desk: Desk, **options: Any):
    return desk.tool(envelope="plain", **options)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_arguments_are_the_body(desk: Desk, method: str):
    desk.server.answers = [says({"id": 7}, 201)]

    result = await desk.use(plain(desk, method=method, parameters=ROOM), {"room": "Zoë's"})

    (sent,) = desk.server.received
    assert result == {"id": 7}
    assert (sent.method, sent.json) == (method, {"room": "Zoë's"})
    assert "x-parley-signature" not in sent.headers


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_arguments_are_the_query_of_what_has_no_body(desk: Desk, method: str):
    schema = {"properties": {"day": {}, "sea": {}, "kinds": {}, "most": {}}}
    tool = plain(desk, method=method, parameters=schema, url=f"{desk.server.url}/rooms?v=2")
    desk.server.answers = [says([])]

    await desk.use(tool, {"day": "1&x=2", "sea": True, "kinds": ["a", "b"], "most": 1.5})

    (sent,) = desk.server.received
    assert sent.query == {
        "v": ["2"], "day": ["1&x=2"], "sea": ["true"], "kinds": ["a", "b"], "most": ["1.5"],
    }  # fmt: skip
    assert sent.body == b""


async def test_an_argument_has_its_place_in_the_path_and_cannot_leave_it(desk: Desk):
    url = f"{desk.server.url}/rooms/{{room}}/nights"
    tool = plain(desk, parameters=ROOM, url=url)
    desk.server.answers = [says([])]

    await desk.use(tool, {"room": "../../admin?x=1#y", "nights": 2})

    (sent,) = desk.server.received
    assert sent.path == "/rooms/..%2F..%2Fadmin%3Fx%3D1%23y/nights"
    assert sent.json == {"nights": 2}


@pytest.mark.parametrize("room", ["", ".", ".."])
async def test_a_path_is_not_left_by_dots(desk: Desk, room: str):
    tool = plain(desk, parameters=ROOM, url=f"{desk.server.url}/rooms/{{room}}/x")

    sentence = await desk.refused(tool, {"room": room})

    assert sentence == "room must not be empty."
    assert desk.server.received == []


async def test_a_change_carries_its_key(desk: Desk):
    desk.server.answers = [says({})]

    await desk.use(plain(desk, changes=True))

    assert len(desk.server.received[0].headers["idempotency-key"]) == 64


@pytest.mark.parametrize("status", [201, 202, 204])
async def test_no_content_is_an_answer(desk: Desk, status: int):
    desk.server.answers = [Answer(status, b"")]

    assert await desk.use(plain(desk)) == {"status": "done"}


async def test_nothing_at_all_is_an_answer_only_where_that_is_said(desk: Desk):
    desk.server.answers = [Answer(200, b"")]

    sentence = await desk.refused(plain(desk))
    result = await desk.use(plain(desk, answer={"may_be_empty": True}))

    assert sentence == "The service for free rooms gave no answer."
    assert result == {"status": "done"}


async def test_text_is_an_answer(desk: Desk):
    desk.server.answers = [Answer(200, b"Two rooms are free.", "text/plain; charset=utf-8")]

    assert await desk.use(plain(desk)) == "Two rooms are free."


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"message": "No such room."}, "did not understand the request: No such room."),
        ({"error": {"message": "Too late."}}, "did not understand the request: Too late."),
        ({"detail": [{"msg": "x"}]}, "did not understand the request."),
        ({"error": "x" * 1000}, f"did not understand the request: {'x' * 300}."),
    ],
)
async def test_what_an_api_says_of_a_mistake_reaches_the_model(desk: Desk, body, sentence: str):
    desk.server.answers = [says(body, 422)]

    assert await desk.refused(plain(desk)) == f"The service for free rooms {sentence}"


async def test_secrets_go_into_headers_and_never_come_back():
    values = {"TOOL_KEY": "s3cret-key"}
    async with open_desk(values=values) as desk:
        headers = {"Authorization": "Bearer ${TOOL_KEY}", "X-Api-Version": "2"}
        tool = plain(desk, headers=headers)
        desk.server.answers = [
            says({"you_sent": "Bearer s3cret-key", "s3cret-key": ["s3cret-key"]}),
            says({"message": "s3cret-key has expired"}, 400),
        ]

        result = await desk.use(tool)
        sentence = await desk.refused(tool)

        assert desk.server.received[0].headers["authorization"] == "Bearer s3cret-key"
        assert desk.server.received[0].headers["x-api-version"] == "2"
    assert result == {"you_sent": "Bearer ***", "***": ["***"]}
    assert "s3cret" not in sentence
