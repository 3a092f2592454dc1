"""The docs tell the truth: what they name exists, and what exists is named."""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest.mock import patch

import pytest
from pydantic import BaseModel

from parley.agents.check import Installed, check_agents
from parley.agents.reading import BY_PLACE, AgentDefaults
from parley.agents.schema import Agent, Sorry, TurnTaking, Vad
from parley.cli.commands import VERBS
from parley.core.errors import error_types
from parley.core.events import event_name, event_types
from parley.core.yaml_lines import parse_yaml
from parley.engines.found import find_engines
from parley.reference import COMMAND, PAGES
from parley.settings import load_settings, setting_facts
from parley.tools.catalog import ToolCatalog

ROOT = Path(__file__).parents[1]
PROSE = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
GUIDE = ROOT / "docs/guides/agents.md"
# Names of the shell that the page's build uses, and no settings.
NOT_SETTINGS = frozenset({"PARLEY_URL", "PARLEY_WEB_OUT", "PARLEY_EXTRAS"})


def yaml_blocks(page: Path) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", PAGES)
def test_a_made_page_says_what_the_code_says(name: str) -> None:
    written = (ROOT / name).read_text(encoding="utf-8")

    assert written == PAGES[name](), f"{name} is out of date; run: {COMMAND}"


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    known = {fact.name for fact in setting_facts()} | NOT_SETTINGS

    named = set(re.findall(r"\bPARLEY_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))

    assert named <= known


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    verbs = {verb.words for verb in VERBS}

    typed = re.findall(r"(?:`|^)parley ([a-z]+)(?: ([a-z]+))?", page.read_text("utf-8"), re.M)

    for first, second in typed:
        assert verbs & {(first,), (first, second)}, f"parley {first} {second}"


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_event_and_error_code_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    events = set(re.findall(r"\bevents? `([a-z_]+)`", text))
    codes = set(re.findall(r"\bcodes? `([a-z_]+)`", text))

    assert events <= {event_name(event) for event in event_types()}
    assert codes <= {error.code for error in error_types()}


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("settings", [fact.name for fact in setting_facts()]),
        ("cli", [f"parley {' '.join(verb.words)}" for verb in VERBS]),
        ("events", [event_name(event) for event in event_types()]),
        ("errors", [error.code for error in error_types()]),
    ],
)
def test_everything_that_exists_is_in_the_reference(page: str, names: list[str]) -> None:
    text = (ROOT / f"docs/reference/{page}.md").read_text(encoding="utf-8")

    assert [name for name in names if f"`{name}" not in text] == []


@pytest.mark.parametrize("block", yaml_blocks(GUIDE))
def test_every_agent_in_the_guide_is_right(tmp_path: Path, block: str) -> None:
    file = tmp_path / "concierge.yaml"
    file.write_text(block)

    problems = check_agents([file], AgentDefaults(), Installed(find_engines(), ToolCatalog()))

    assert problems == []


def test_the_guide_shows_every_key_with_its_default() -> None:
    whole = next(block for block in yaml_blocks(GUIDE) if "turn_taking" in block)
    shown, _ = parse_yaml(whole)

    agent = Agent.model_validate({**shown, "name": "x"})

    assert set(shown) == set(Agent.model_fields) - set(BY_PLACE)
    assert set(shown["turn_taking"]) == set(TurnTaking.model_fields)
    assert set(shown["turn_taking"]["vad"]) == set(Vad.model_fields)
    assert set(shown["sorry"]) == set(Sorry.model_fields)
    assert without_instructions(agent) == without_instructions(Agent(name="x"))


def without_instructions(agent: BaseModel) -> dict[str, object]:
    return agent.model_dump(exclude={"instructions"})


def test_the_example_environment_starts_as_it_stands_and_is_valid_when_all_of_it_is_on(
    tmp_path: Path,
) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    as_it_stands, all_on = tmp_path / "off.env", tmp_path / "on.env"
    as_it_stands.write_text(text)
    all_on.write_text(
        re.sub(r"^#(?=[A-Z0-9_]+=)", "", text, flags=re.M)
        .replace("PARLEY_CONFIG=", "#")
        # The older server's names are read where its listener is on.
        .replace("PARLEY_RUSTPBX=off", "PARLEY_RUSTPBX=on")
    )

    with patch.dict(os.environ, clear=True):
        untouched = load_settings(env_file=as_it_stands)
        edited = load_settings(env_file=all_on)

    untouched.require_safe_listener()
    assert set(untouched.explicit()) == {
        "OLLAMA_MODEL",
        "STT_MODEL",
        "TTS_MODEL",
        "TTS_VOICE",
        "SERVER_HOST",
        "SERVER_PORT",
        "PARLEY_ALLOW_ANONYMOUS",
    }
    assert set(edited.explicit()) == {f.name for f in setting_facts()} - {"PARLEY_CONFIG"}
