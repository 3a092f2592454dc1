"""What the guide to engines says is so: its agents, its tables, its orders, its settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from parley.agents.check import Installed, check_agents
from parley.agents.reading import AgentDefaults
from parley.engines.choice import AUTO_ORDER, LAST
from parley.engines.found import find_engines
from parley.engines.spec import Kind
from parley.tools.catalog import ToolCatalog

GUIDE = Path(__file__).parents[2] / "docs/guides/engines.md"
HEADINGS: dict[Kind, str] = {"stt": "Hearing", "llm": "Thinking", "tts": "Speaking"}
KINDS = tuple(HEADINGS)


def text() -> str:
    return GUIDE.read_text(encoding="utf-8")


def rows(kind: Kind) -> dict[str, str]:
    """The rows of a kind's table by the engine's name."""
    section = text().partition(f"### {HEADINGS[kind]}\n")[2].partition("\n#")[0]
    return dict(re.findall(r"^\| `([a-z_]+)` (\|.*)$", section, re.MULTILINE))


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", text(), re.DOTALL))
def test_every_agent_in_the_guide_is_right(tmp_path: Path, block: str) -> None:
    file = tmp_path / "concierge.yaml"
    file.write_text(block, encoding="utf-8")

    problems = check_agents([file], AgentDefaults(), Installed(find_engines(), ToolCatalog()))

    assert problems == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_tables_name_every_engine_that_is_installed(kind: Kind) -> None:
    named = set(rows(kind))

    assert named == set(find_engines().of(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_an_engines_row_names_settings_that_it_takes(kind: Kind) -> None:
    installed = find_engines().of(kind)

    for name, row in rows(kind).items():
        settings = set(re.findall(r"`([A-Z][A-Z_]+)`", row))
        assert settings <= set(installed[name].environment.values()), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_auto_is_the_one_that_is_shown(kind: Kind) -> None:
    (row,) = re.findall(rf"^\| {kind.upper()} \| (`.*`) \|$", text(), re.MULTILINE)

    shown = tuple(re.findall(r"`([a-z_]+)`", row))

    assert shown == (*AUTO_ORDER[kind], LAST[kind])


def test_the_honest_list_leaves_no_engine_out() -> None:
    table = text().partition("## What was and wasn't run")[2]
    listed = set(re.findall(r"`([a-z_]+)`", " ".join(re.findall(r"^\| (`.*?) \|", table, re.M))))

    assert listed == {spec.name for spec in find_engines().all()}
