"""What a service is sent in confidence comes back to light nowhere, however short it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from parley.core.errors import ToolFailed
from parley.tools.runs import RememberedRun, RunState, ToolRun
from tests.tools.webhook.desk import open_desk
from tests.tools.webhook_server import Answer, Received, good, says

KEY = {"X-Api-Key": "${TOOL_KEY}"}
PIN = {"type": "object", "properties": {"pin": {"type": "string"}}, "required": ["pin"]}


class LateBook:
    """Keeps what comes late."""

    def __init__(self) -> None:
        self.kept: list[Mapping[str, Any]] = []

    def opened(self, run: ToolRun) -> None: ...

    def closed(self, run: ToolRun, state: RunState, error: str) -> None: ...

    async def recall(self, run_id: str) -> RememberedRun | None: ...

    async def late(self, run: ToolRun, answer: Mapping[str, Any]) -> bool:
        self.kept.append(answer)
        return True


@pytest.mark.parametrize(
    ("headers", "value", "answered"),
    [
        (KEY, "4711", "key *** is good, 147110 and 47110 rooms are free"),
        (KEY, "rooms", "key 4711 is good, 147110 and 47110 *** are free"),
        (KEY, "is", "key 4711 is good, 147110 and 47110 rooms are free"),
        ({"X-Branch": "${TOOL_KEY}"}, "4711", "key 4711 is good, 147110 and 47110 rooms are free"),
        ({"X-Branch": "${TOOL_KEY}"}, "rooms are", "key 4711 is good, 147110 and 47110 *** free"),
    ],
)
async def test_a_short_credential_is_hidden_as_a_word_and_what_is_none_is_left_alone(
    headers: dict[str, str], value: str, answered: str
):
    async with open_desk(values={"TOOL_KEY": value}) as desk:
        desk.server.answers = [good("key 4711 is good, 147110 and 47110 rooms are free")]

        assert await desk.use(desk.tool(headers=headers)) == answered


async def test_one_too_short_to_be_hidden_is_told_once_when_the_agent_is_prepared():
    async with open_desk(values={"TOOL_KEY": "abc", "TOOL_KEY__ACME": "long-enough"}) as desk:
        with capture_logs() as logs:
            desk.tool(headers=KEY)
            desk.tool(headers=KEY)

    assert [(each["event"], each["name"]) for each in logs] == [
        ("tool_secret_too_short", "TOOL_KEY")
    ]


async def test_what_comes_late_or_meanwhile_is_kept_and_told_without_secrets():
    book = LateBook()
    async with open_desk(values={"TOOL_KEY": "4711"}) as desk:
        desk.house.runs.keep_in(book)
        sent: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def tell(received: Received) -> None:
            sent.set_result(received.json["run_id"])

        waits = says({"ok": True, "pending": True, "say": "Key 4711, PIN 0815."}, 202)
        desk.server.answers = [Answer(waits.status, waits.body, before=tell)]
        tool = desk.tool(headers=KEY, parameters=PIN, timeout_s=5)
        using = asyncio.create_task(desk.use(tool, {"pin": "0815"}))
        run_id = await asyncio.wait_for(sent, 5)
        await asyncio.wait_for(desk.was_told.wait(), 5)
        await desk.house.runs.progress(run_id, "Still 4711 and 0815.")
        using.cancel()
        await asyncio.gather(using, return_exceptions=True)

        await desk.house.runs.answer(run_id, {"ok": True, "result": "4711 and 0815"})

        assert desk.told == ["Key ***, PIN ***.", "Still *** and ***."]
        assert book.kept == [{"ok": True, "result": "*** and ***"}]


async def test_what_a_service_complains_of_is_logged_without_the_arguments_secrets():
    async with open_desk(values={"TOOL_KEY": "4711"}) as desk:
        desk.server.answers = [says({"message": "PIN 0815 and key 4711 don't fit"}, 400)]
        tool = desk.tool(headers=KEY, parameters=PIN, envelope="plain")

        with capture_logs() as logs, pytest.raises(ToolFailed) as failed:
            await desk.use(tool, {"pin": "0815"})

    (told,) = [each for each in logs if each["event"] == "webhook_failed"]
    assert told["says"] == "PIN *** and key *** don't fit"
    assert "key ***" in str(failed.value)
