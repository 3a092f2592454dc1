"""The envelope: what a service is sent, and what its answers become."""

from __future__ import annotations

import hashlib

import pytest

from parley.tools.webhook.signing import verify
from tests.tools.webhook.desk import SECRET, Desk, open_desk
from tests.tools.webhook_server import Answer, good, says


async def test_a_service_is_sent_all_that_it_needs_signed(desk: Desk):
    tool = desk.tool(timeout_s=4)

    await desk.use(tool)

    (sent,) = desk.server.received
    key = hashlib.sha256(b"call_1|free_rooms|tool_1").hexdigest()
    assert (sent.method, sent.path) == ("POST", "/rooms")
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["idempotency-key"] == sent.json["idempotency_key"] == key
    verify(SECRET, sent.headers["x-parley-signature"], sent.body)
    run_id, deadline_ms = sent.json.pop("run_id"), sent.json["deadline_ms"]
    assert run_id.startswith("run_") and len(run_id) == 36
    assert 3000 < deadline_ms <= 4000
    assert sent.json | {"run_id": "", "deadline_ms": 0} == {
        "version": 1, "run_id": "", "call_id": "call_1", "session_id": "call_1",
        "tenant": "default", "agent": "front", "tool": "free_rooms", "deadline_ms": 0,
        "locale": "en-GB", "timezone": "Europe/Berlin", "idempotency_key": key,
        "callback_url": "", "args": {"day": "2026-03-03"},
    }  # fmt: skip


async def test_later_answers_have_an_address_where_the_server_has_one():
    async with open_desk(public_url="https://voice.example.org/") as desk:
        await desk.use(desk.tool())

        sent = desk.server.received[0].json

    assert sent["callback_url"] == f"https://voice.example.org/v1/tools/runs/{sent['run_id']}"


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (good({"rooms": [1, 2]}), {"rooms": [1, 2]}),
        (good([1, 2]), [1, 2]),
        (good(None), {"status": "done"}),
        (good({"rooms": 3}, say="Three are free."), {"rooms": 3, "say": "Three are free."}),
        (good("yes", say="Yes."), {"result": "yes", "say": "Yes."}),
        (says([{"ok": True, "result": 7}]), 7),
        (Answer(200, b'{"ok": true, "result": "text"}', "text/plain"), "text"),
    ],
)
async def test_the_model_gets_the_result_and_what_to_say(
    desk: Desk, answer: Answer, result: object
):
    desk.server.answers = [answer]

    assert await desk.use(desk.tool()) == result


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ({"error": {"code": "taken", "message": "That room is taken."}}, "That room is taken."),
        ({"error": {"code": "x", "message": "E42"}, "say": "It is full."}, "It is full."),
        ({"error": {"code": "x"}}, "The service for free rooms has a problem of its own."),
    ],
)
async def test_what_a_service_declines_is_its_own_sentence(desk: Desk, error, sentence: str):
    desk.server.answers = [says({"ok": False, **error})]

    assert await desk.refused(desk.tool()) == sentence


async def test_no_more_than_one_result_counts_and_no_argument_is_lost(desk: Desk):
    schema = {"properties": {"guest": {"type": "object"}, "notes": {"type": "array"}}}
    tool = desk.tool(parameters=schema)
    arguments = {"guest": {"name": "Zoë"}, "notes": ["ü", 1, None]}

    await desk.use(tool, arguments)

    assert desk.server.received[0].json["args"] == arguments


async def test_without_a_secret_nothing_is_sent_unsigned():
    async with open_desk(secret="") as desk:
        sentence = await desk.refused(desk.tool())

        assert desk.server.received == []
    assert sentence == "The service for free rooms can't be used here."


async def test_a_tenants_own_agent_signs_with_its_tenants_secret(desk: Desk):
    class Secrets:
        async def secret_for(self, owner: str) -> str:
            return f"secret of {owner}"

    class Book:
        opened = closed = lambda *_: None

    desk.house.connect(Book(), Secrets())  # pyright: ignore[reportArgumentType]
    desk.owner = desk.tenant = "acme"

    await desk.use(desk.tool())
    desk.owner = ""
    await desk.use(desk.tool())

    by_tenant, by_house = desk.server.received
    verify("secret of acme", by_tenant.headers["x-parley-signature"], by_tenant.body)
    verify(SECRET, by_house.headers["x-parley-signature"], by_house.body)
