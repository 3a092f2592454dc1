"""What is wrong with a webhook in an agent's file is said with its line, before anybody calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parley.agents.check import Installed, check_agents
from parley.agents.reading import AgentDefaults
from parley.core.errors import BadRequest
from parley.engines.found import find_engines
from parley.tools.catalog import ToolCatalog
from tests.tools.webhook.desk import Desk, open_desk
from tests.tools.webhook_server import says

GOOD = {"name": "free_rooms", "description": "Lists.", "url": "https://rooms.example.org/x"}


def problem(**options: Any) -> str:
    with pytest.raises(BadRequest) as refused:
        ToolCatalog().tools_for([{"webhook": {**GOOD, **options}}])
    return str(refused.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "free rooms"}, "name: takes letters, digits, _ and -"),
        ({"url": "rooms.example.org"}, "starts with http:// or https://"),
        ({"url": "https://ada:pw@rooms.example.org"}, "may not hold a password"),
        ({"url": "https://{host}/x"}, "in its path only"),
        ({"url": "https://rooms.example.org/x?day={day}"}, "in its path only"),
        ({"url": "https://rooms.example.org/{day}"}, "use envelope: plain"),
        ({"url": "https://rooms.example.org/{day}", "envelope": "plain"}, "{day} must be among"),
        ({"method": "FETCH"}, "method"),
        ({"method": "GET"}, "an envelope can't be sent by GET"),
        ({"parameters": {"type": "array"}}, "type must be object"),
        ({"parameters": {"properties": {"day": {"type": "strin"}}}}, "Did you mean string?"),
        ({"parameters": {"properties": {"day": {"minLenght": 3}}}}, "Did you mean minLength?"),
        ({"parameters": {"required": ["day"]}}, "day is not among properties"),
        ({"parameters": {"properties": {"day": {"$ref": "#/x"}}}}, "write the schema out"),
        ({"parameters": {"properties": {"day": {"pattern": "["}}}}, "broken regular expression"),
        ({"headers": {"Authorization": "Bearer abc"}}, "keep it in the environment"),
        ({"headers": {"X-Api-Key": "abc"}}, "keep it in the environment"),
        ({"headers": {"X-Key": "${OPENAI_API_KEY}"}}, "names that start with TOOL_"),
        ({"headers": {"X-Key": "${TOOL_KEY__ACME}"}}, "without two underscores"),
        ({"headers": {"Host": "x"}}, "Host is set by Parley itself"),
        ({"headers": {"X Y": "x"}}, "X Y is no header"),
        ({"headers": {"X": "a\nb"}}, "X is no header"),
        ({"headers": {"X": "ü"}}, "X is no header"),
        ({"answer": {"kepe": []}}, "kepe"),
        ({"max_answer_bytes": 1}, "max_answer_bytes"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"colour": "red"}, 'there is no option "colour"'),
    ],
)
def test_a_mistake_is_told_in_words(options: dict[str, Any], says: str):
    assert says in problem(**options)


def test_a_mistake_is_told_with_its_line(tmp_path: Path):
    file = tmp_path / "front.yaml"
    file.write_text(
        "tools:\n"
        "  - clock\n"
        "  - webhook:\n"
        "      name: free_rooms\n"
        "      description: Lists the free rooms.\n"
        "      url: https://rooms.example.org/free\n"
        "      parameters:\n"
        "        properties:\n"
        "          day:\n"
        "            type: strin\n"
    )

    problems = check_agents([file], AgentDefaults(), Installed(find_engines(), ToolCatalog()))

    assert [(each.line, "strin is no type" in each.message) for each in problems] == [(10, True)]


def test_an_agent_may_have_several_of_them():
    names = ["free_rooms", "prices"]
    catalog = ToolCatalog()

    tools = catalog.tools_for([{"webhook": {**GOOD, "name": name}} for name in names])

    assert [(tool.name, tool.provider) for tool in tools] == [(name, "webhook") for name in names]


def test_what_a_file_leaves_out_is_as_safe_as_can_be():
    (tool,) = ToolCatalog().tools_for([{"webhook": GOOD}])

    assert tool.parameters == {
        "type": "object", "properties": {}, "additionalProperties": False,
    }  # fmt: skip
    assert tool.interruptible and not tool.changes
    assert tool.timeout_s == pytest.approx(11)


def test_what_changes_something_is_not_cut_off_unless_the_file_says_so():
    wishes = [
        {"webhook": {**GOOD, "changes": True, "confirms": True, "filler": "One moment."}},
        {"webhook": {**GOOD, "name": "b", "changes": True, "on_interruption": "cancel"}},
    ]

    kept, cut = ToolCatalog().tools_for(wishes)

    assert (kept.interruptible, kept.changes, kept.confirms) == (False, True, True)
    assert kept.filler == "One moment."
    assert cut.interruptible


async def test_a_secret_that_is_not_set_is_told_when_the_agent_is_prepared(desk: Desk):
    with pytest.raises(BadRequest, match=r"TOOL_KEY is not set\. Set it in the environment"):
        desk.tool(headers={"Authorization": "Bearer ${TOOL_KEY}"})


async def test_each_tenant_has_its_own_value_and_sees_no_other():
    values = {"TOOL_KEY": "the-house", "TOOL_KEY__ACME": "for-acme"}
    async with open_desk(values=values) as desk:
        headers = {"X-Key": "${TOOL_KEY}"}
        desk.tenant = "acme"
        await desk.use(desk.tool(headers=headers))
        desk.tenant = "other"
        tool = desk.tool(headers=headers)
        await desk.use(tool)

        desk.owner = "other"
        with pytest.raises(BadRequest, match="TOOL_KEY__OTHER is not set"):
            desk.tool(headers=headers)

        sent = [each.headers["x-key"] for each in desk.server.received]
    assert sent == ["for-acme", "the-house"]


async def test_tenants_of_similar_names_share_no_secret():
    async with open_desk(values={"TOOL_KEY__A_B": "for-a-b"}) as desk:
        headers = {"X-Key": "${TOOL_KEY}"}
        for tenant in ("a_b", "A-B", "a--b"):
            desk.owner = tenant
            with pytest.raises(BadRequest, match=f"TOOL_KEY___{tenant.encode().hex().upper()}"):
                desk.tool(headers=headers)
        desk.owner, desk.tenant = "", "a-b"
        await desk.use(desk.tool(headers=headers))

        sent = [each.headers["x-key"] for each in desk.server.received]
    assert sent == ["for-a-b"]


async def test_a_secret_that_no_header_can_hold_is_told_without_being_shown():
    async with open_desk(values={"TOOL_KEY": "a\r\nHost: b"}) as desk:
        sentence = await desk.refused(desk.tool(headers={"X-Key": "${TOOL_KEY}"}))

        assert desk.server.received == []
    assert sentence == "The service for free rooms can't be used here."


async def test_no_secret_is_in_the_log(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    async with open_desk(values={"TOOL_KEY": "s3cret-key"}, secret="hm4c-secret") as desk:
        desk.server.answers = [says({"message": "You sent Bearer s3cret-key"}, 400)]

        await desk.refused(desk.tool(headers={"Authorization": "Bearer ${TOOL_KEY}"}))

    # Where the log goes depends on what was set up before.
    logged = caplog.text + capsys.readouterr().out
    assert "webhook_failed" in logged and "Bearer ***" in logged
    assert "s3cret" not in logged and "hm4c" not in logged
