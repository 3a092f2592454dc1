"""``parley agents check`` and ``parley check``: what tools need and is not here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from parley.agents.check import Installed, check_agents
from parley.agents.reading import AgentDefaults
from parley.cli import main
from parley.cli.agents import inspector_for
from parley.engines.found import engines_from
from parley.settings import load_settings, setting_facts
from parley.tools.catalog import ToolCatalog


@pytest.fixture(autouse=True)
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of agents of a house in which nothing is set."""
    for fact in setting_facts():
        monkeypatch.delenv(fact.name, raising=False)
    for name in [name for name in os.environ if name.startswith("TOOL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "agents"
    folder.mkdir(parents=True)
    return folder


def said_of(file: Path, text: str) -> list[str]:
    """What the check says of one agent, without the file's place."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    catalog = ToolCatalog()
    inspector = inspector_for(load_settings(), catalog)
    installed = Installed(engines_from([]), catalog, inspector)
    problems = check_agents([file], AgentDefaults(), installed)
    return [str(problem).removeprefix(f"{file}:") for problem in problems]


WEBHOOK = """\
tools:
  - webhook:
      name: rooms
      description: Lists rooms.
      url: {url}
      headers:
        X-Branch: "7"
        X-Api-Key: "${{TOOL_ROOMS_KEY}}"
"""
NAMELESS = WEBHOOK.replace('        X-Api-Key: "${{TOOL_ROOMS_KEY}}"\n', "")


@pytest.mark.parametrize(
    ("url", "listed", "said"),
    [
        (
            "http://127.0.0.1:9/rooms",
            "",
            "127.0.0.1 leads to an address of this machine or of a private network. Add 127.0.0.1 "
            "to PARLEY_TOOL_HOSTS if tools are meant to reach it.",
        ),
        (
            "http://localhost:9000/rooms/{day}",
            "",
            "localhost leads to an address of this machine or of a private network. Add localhost "
            "to PARLEY_TOOL_HOSTS if tools are meant to reach it.",
        ),
        (
            "https://rooms.example.org/",
            "crm.example.org",
            "rooms.example.org:443 is not among the hosts that tools may reach. Add it to "
            "PARLEY_TOOL_HOSTS.",
        ),
        ("http://localhost:9000/rooms", "localhost:9000", ""),
        ("https://rooms.example.org/", "*.example.org", ""),
    ],
)
def test_a_host_that_is_refused_is_told_at_its_line(
    url: str,
    listed: str,
    said: str,
    agents: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PARLEY_TOOL_HOSTS", listed)
    plain = "      envelope: plain\n      parameters:\n        required: [day]\n"
    plain += "        properties: {day: {type: string}}\n"

    found = said_of(agents / "ada.yaml", NAMELESS.format(url=url) + plain)

    assert found == ([f"5: webhook: url: {said}"] if said else [])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "TOOL_ROOMS_KEY is not set. Set it in the environment or in .env."),
        (
            {"TOOL_ROOM_KEY": "a-long-one"},
            "TOOL_ROOMS_KEY is not set. Set it in the environment or in .env. Did you mean "
            "TOOL_ROOM_KEY?",
        ),
        (
            {"TOOL_ROOMS_KEY": "   "},
            "TOOL_ROOMS_KEY is not set. Set it in the environment or in .env.",
        ),
        (
            {"TOOL_ROOMS_KEY": "schlüssel"},
            "TOOL_ROOMS_KEY holds something that no header can. Set it anew: letters, digits and "
            "signs of ASCII, in one line.",
        ),
        (
            {"TOOL_ROOMS_KEY": "abc"},
            "TOOL_ROOMS_KEY is shorter than 4 letters, so it can't be hidden where an answer "
            "repeats it. Have the service give you a longer one.",
        ),
        (
            {"TOOL_ROOMS_KEY": "a-long-one", "TOOL_ROOMS_KEY__ACNE": "another"},
            "TOOL_ROOMS_KEY__ACNE is for a tenant that there isn't. Did you mean "
            "TOOL_ROOMS_KEY__ACME?",
        ),
        ({"TOOL_ROOMS_KEY__ACME": "only-theirs"}, ""),
        ({"TOOL_ROOMS_KEY__DEFAULT": "only-theirs"}, ""),
        ({"TOOL_ROOMS_KEY": "4711"}, ""),
    ],
)
def test_what_a_header_is_to_be_filled_from_must_be_there_and_be_somebodys(
    values: dict[str, str],
    said: str,
    agents: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (agents / "tenants" / "acme").mkdir(parents=True)
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    found = said_of(agents / "ada.yaml", WEBHOOK.format(url="https://rooms.example.org/"))

    assert found == ([f"8: webhook: headers.X-Api-Key: {said}"] if said else [])


def test_a_tenants_agent_is_held_to_what_its_tenant_has(
    agents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOL_ROOMS_KEY", "the-houses-own")
    file = agents / "tenants" / "acme" / "ada.yaml"
    program = "  - mcp: {name: shop, command: sh, only: ['*']}\n"

    found = said_of(file, WEBHOOK.format(url="https://rooms.example.org/") + program)

    assert found == [
        "8: webhook: headers.X-Api-Key: TOOL_ROOMS_KEY__ACME is not set. Set it in the environment "
        "or in .env. Did you mean TOOL_ROOMS_KEY?",
        "9: mcp: mcp shop: a tenant's agent can't start a program on this machine. Give a url, or "
        "have the operator put the agent into everybody's folder.",
    ]


def test_programs_secrets_and_n8n_that_are_not_here_are_told_all_at_once(agents: Path) -> None:
    text = """\
tools:
  - mcp:
      name: files
      command: no-such-program
      env:
        FILES_TOKEN: ${TOOL_FILES_TOKEN}
      only: ["*"]
  - mcp: {name: crm, url: "http://localhost:9/mcp", only: ["*"]}
  - mcp: {name: link, url: "http://169.254.169.254/mcp", only: ["*"]}
  - n8n: {only: [book]}
  - recordings
"""

    found = said_of(agents / "ada.yaml", text)

    assert found == [
        "4: mcp: command: There is no program no-such-program on this machine. Install it, or "
        "write its whole path; it must be executable.",
        "6: mcp: env.FILES_TOKEN: TOOL_FILES_TOKEN is not set. Set it in the environment or in "
        ".env.",
        "10: n8n: No n8n is configured. Set N8N_BASE_URL and N8N_API_KEY, or say under otherwise "
        "what to use then.",
        f"11: recordings: folder: There is no folder {agents}/recordings. Make it, and put the "
        "recordings into it.",
    ]


def test_a_program_counts_that_is_found_where_its_own_path_says(agents: Path) -> None:
    program = agents / "shop"
    program.write_text("#!/bin/sh\n")
    text = f"tools:\n  - mcp: {{name: s, command: shop, env: {{PATH: {agents}}}, only: ['*']}}\n"
    before = said_of(agents / "ada.yaml", text)
    program.chmod(0o700)

    after = said_of(agents / "ada.yaml", text)

    assert [line.partition(".")[0] for line in before] == [
        "2: mcp: command: There is no program shop on this machine"
    ]
    assert after == []
    whole = f"tools:\n  - mcp: {{name: s, command: {sys.executable}, only: ['*']}}\n"
    assert said_of(agents / "ada.yaml", whole) == []


def test_a_folder_without_a_recording_is_told_until_there_is_one(agents: Path) -> None:
    text = "tools:\n  - recordings:\n      folder: music\n"
    (agents / "music").mkdir()
    empty = said_of(agents / "ada.yaml", text)
    (agents / "music" / "waltz.wav").write_bytes(b"RIFF")

    full = said_of(agents / "ada.yaml", text)

    assert [line.partition(":.")[0] for line in empty] == [
        f"3: recordings: folder: {agents}/music holds no recordings. Put sound files into it: "
        ".aac, .flac, .m4a, .mp3, .ogg, .opus, .wav."
    ]
    assert full == []


def test_a_database_that_is_away_keeps_nobody_from_being_checked(
    agents: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOL_ROOMS_KEY__ACNE", "another")
    monkeypatch.setenv("PARLEY_DATABASE_URL", "sqlite:////dev/null/all.db")
    (agents / "ada.yaml").write_text(NAMELESS.format(url="https://rooms.example.org/"))

    code = main(["agents", "check"])

    said = capsys.readouterr()
    assert code == 0
    assert said.err.startswith("tenants   can't be told, and so not who has TOOL_ values: ")


def test_check_tells_of_tools_too(agents: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (agents / "ada.yaml").write_text("tools: [recordings]\n")

    code = main(["check"])

    assert code == 1
    assert f"{agents}/ada.yaml:1: recordings: folder: There is no" in capsys.readouterr().out
