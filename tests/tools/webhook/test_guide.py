"""The guide to webhooks tells the truth."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from parley.agents.check import Installed, check_agents
from parley.agents.reading import AgentDefaults
from parley.engines.found import find_engines
from parley.tools.catalog import ToolCatalog
from parley.tools.json_schema import KNOWN
from parley.tools.webhook.failures import Failure, FailureKind
from parley.tools.webhook.options import WebhookOptions
from parley.tools.webhook.signing import sign
from tests.tools.webhook.desk import Desk

GUIDE = (Path(__file__).parents[3] / "docs/guides/tools.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_every_agent_in_it_can_be_used(block: str, tmp_path: Path):
    file = tmp_path / "front.yaml"
    file.write_text(block)

    problems = check_agents([file], AgentDefaults(), Installed(find_engines(), ToolCatalog()))

    assert problems == []


async def test_its_envelope_has_the_fields_that_are_sent(desk: Desk):
    (shown,) = map(json.loads, blocks("json"))

    await desk.use(desk.tool())

    assert list(shown) == list(desk.server.received[0].json)


def test_its_way_to_check_a_signature_works():
    room: dict[str, Any] = {}
    (code,) = blocks("python")
    exec(code, room)

    header = sign("secret", b'{"a": 1}')

    assert room["is_ours"]("secret", header, b'{"a": 1}')
    assert not room["is_ours"]("secret", header, b'{"a": 2}')
    assert not room["is_ours"]("secret", sign("secret", b"{}", 1_700_000_000), b"{}")


def test_it_has_each_failure_with_its_sentence():
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| [^|]+ \| ([^|]+[.]) \|$", GUIDE, re.MULTILINE))

    sentences = {kind: Failure(kind, "").sentence("free_rooms") for kind in get_args(FailureKind)}

    assert {kind: f"The service for free rooms {row}" for kind, row in rows.items()} == sentences


def test_it_names_every_option_and_every_keyword():
    told = {word for names in re.findall(r"`([^`\n]+)`", GUIDE) for word in names.split()}

    assert set(WebhookOptions.model_fields) <= told
    assert {each for each in KNOWN if each not in NOTES} <= told


NOTES = {
    "title", "description", "default", "examples", "example", "deprecated", "readOnly",
    "writeOnly", "$schema", "$id", "$comment",
}  # fmt: skip
