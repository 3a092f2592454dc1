"""What the guide to failing engines shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from parley.agents.check import Installed, check_agents
from parley.agents.reading import AgentDefaults, read_agent
from parley.agents.schema import Limits
from parley.core.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S
from parley.engines.fallback.chain import SHORT_PAUSE_S
from parley.engines.fallback.hearing import SHARE_OF_LENGTH
from parley.engines.fallback.places import WAITING_PER_PLACE
from parley.engines.found import find_engines
from parley.tools.catalog import ToolCatalog

GUIDE = Path(__file__).parents[3] / "docs/guides/fallback.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_every_agent_in_the_guide_is_right(tmp_path: Path, block: str):
    file = tmp_path / "concierge.yaml"
    file.write_text(block)

    problems = check_agents([file], AgentDefaults(), Installed(find_engines(), ToolCatalog()))

    assert problems == []


def test_the_limits_in_the_guide_are_the_defaults(tmp_path: Path):
    file = tmp_path / "concierge.yaml"
    file.write_text(next(block for block in blocks("yaml") if "limits" in block))

    agent = read_agent(file, AgentDefaults()).agent

    assert agent is not None
    assert agent.limits == Limits()


def test_a_stage_keeps_the_limits_that_a_file_does_not_give(tmp_path: Path):
    file = tmp_path / "concierge.yaml"
    file.write_text("limits:\n  llm: {first_ms: 9000}\n")

    agent = read_agent(file, AgentDefaults()).agent

    assert agent is not None
    limits = agent.limits.seconds()
    assert (limits.llm.first_s, limits.llm.gap_s) == (9.0, 3.0)
    assert limits.stt == Limits().seconds().stt


def test_the_rehearsal_prints_what_the_guide_says():
    (program,), (printed,) = blocks("python"), blocks("text")

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    says = re.sub(r"after_ms=[\d.]+", "after_ms=…", done.stdout)
    lines = [line for line in says.splitlines() if "engine_replaced" not in line]
    assert done.returncode == 0, done.stderr
    assert lines == printed.splitlines()


def test_the_figures_in_the_guide_are_those_of_the_code():
    assert (FIRST_PAUSE_S, LONGEST_PAUSE_S) == (2.0, 60.0)
    assert SHORT_PAUSE_S == 2.0
    assert SHARE_OF_LENGTH == 0.15
    assert WAITING_PER_PLACE == 4
