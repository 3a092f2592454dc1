"""``parley tools`` and ``parley tenants secret``, as somebody types them."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from parley.cli import main
from parley.cli.tools import read_arguments
from parley.core.errors import BadRequest
from parley.settings import setting_facts

AGENT = """\
title: Front desk
tools:
  - calendar: {opens: 09:00, closes: 17:00}
  - webhook:
      name: look_up
      description: Looks somebody up.
      url: http://127.0.0.1:PORT/look-up
      timeout_s: 1
      parameters:
        type: object
        properties: {name: {type: string}, pin: {type: string}}
        required: [name]
"""
SCHEMA = {
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer"},
        "tags": {"type": "array"},
        "any": {},
    }
}


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent of the test's own, one of whose tools nobody answers."""
    for fact in setting_facts():
        monkeypatch.delenv(fact.name, raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    agents = tmp_path / "data" / "agents"
    agents.mkdir(parents=True)
    (agents / "front.yaml").write_text(AGENT.replace("PORT", str(port)))
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PARLEY_TOOL_HOSTS", "127.0.0.1")
    monkeypatch.chdir(tmp_path)


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code and what was printed."""
    code = main(words)
    said = capsys.readouterr()
    return code, said.out + said.err


def runs(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    _, said = typed(capsys, "tools", "runs", "--json", *words)
    return [json.loads(line) for line in said.splitlines()]


def test_tools_are_listed_with_what_they_take(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = typed(capsys, "tools", "list", "--agent", "front")

    assert code == 0
    assert "Front desk" in said and "Linden" not in said
    assert "look_up(name, pin?)  [webhook, " in said
    assert "book_appointment(name, day, time)" in said


def test_a_tool_is_really_used_and_its_run_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = typed(
        capsys, "tools", "call", "list_appointments", "name=Ada", "--agent", "front", "--json"
    )
    told = json.loads(said)
    (run,) = runs(capsys)

    assert code == 0
    assert (told["state"], told["error"]) == ("answered", None)
    assert run["id"] == told["run_id"]
    assert (run["tool"], run["provider"], run["state"]) == (
        "list_appointments",
        "calendar",
        "answered",
    )
    assert (run["agent"], run["arguments"]) == ("front", {"name": "Ada"})
    assert json.loads(run["answer"]) == told["answer"]


def test_a_tool_that_fails_says_why_and_hides_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = typed(
        capsys, "tools", "call", "look_up", "name=Ada", "pin=1234", "--agent", "front"
    )
    (run,) = runs(capsys, "--state", "failed")
    _, shown = typed(capsys, "tools", "runs", "--tool", "look_up")

    assert code == 1
    assert "failed after" in said
    assert run["arguments"] == {"name": "Ada", "pin": "***"}
    assert run["error"]
    assert "look_up(name=Ada, pin=***)" in shown


def test_what_nobody_has_is_told_with_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    tool = typed(capsys, "tools", "call", "free_time", "--agent", "front")
    argument = typed(capsys, "tools", "call", "free_times", "dai=1", "--agent", "front")
    none = typed(capsys, "tools", "runs", "--tool", "nothing")

    assert tool[0] == argument[0] == 2
    assert "free_times" in tool[1]
    assert "Did you mean day?" in argument[1]
    assert none == (0, "No tool has run like that.\n")


def test_arguments_are_read_as_the_schema_says() -> None:
    found = read_arguments(["name=42", "count=42", 'tags=["a"]', "any=a=b"], SCHEMA)

    assert found == {"name": "42", "count": 42, "tags": ["a"], "any": "a=b"}
    for wrong in (["name"], ["count=many"], ["colour=red"]):
        with pytest.raises(BadRequest):
            read_arguments(wrong, SCHEMA)


def test_a_setting_that_goes_before_a_secret_is_told_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_TOOL_SECRET", "a_long_random_word")

    main(["tenants", "secret", "default"])
    default = capsys.readouterr()
    main(["tenants", "secret", "acme"])

    assert len(default.out.split()) == 1
    assert "PARLEY_TOOL_SECRET" in default.err
    assert capsys.readouterr().err == ""


def test_a_secret_stays_the_same_until_it_is_rotated(capsys: pytest.CaptureFixture[str]) -> None:
    first = typed(capsys, "tenants", "secret", "acme")
    again = typed(capsys, "tenants", "secret", "acme")
    main(["tenants", "secret", "acme", "--rotate"])
    rotated = capsys.readouterr()

    assert first == again
    assert rotated.out.strip() != first[1].strip()
    assert "old one" in rotated.err
    assert typed(capsys, "tenants", "secret", "acme")[1] == rotated.out
