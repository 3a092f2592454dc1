"""``parley agents check``: what a file names must exist here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from parley.agents.check import Installed, check_agents
from parley.agents.reading import AgentDefaults
from parley.agents.schema import ToolUse
from parley.core.errors import NotFound
from parley.engines.found import engines_from
from parley.engines.spec import EngineOptions, EngineSpec
from parley.engines.wish import read_wishes
from parley.tools.spec import Tool, ToolCall


class VoskOptions(EngineOptions):
    url: str
    loudness: int = 1


VOSK: EngineSpec[object] = EngineSpec(
    kind="stt",
    name="vosk",
    options=VoskOptions,
    open=lambda options: object(),
    summary="Vosk.",
    available=lambda options: True,
    environment={"url": "VOSK_WS_URL"},
)


class OnlyClock:
    def tools_for(self, wanted: Sequence[ToolUse]) -> Sequence[Tool]:
        for use in wanted:
            if use.name != "clock":
                raise NotFound(f"There is no tool {use.name}.", hint="Did you mean clock?")
        return [Tool("time_now", "Tells the time.", _tell) for _ in wanted]


async def _tell(_: ToolCall) -> str:
    return "noon"


def check(folder: Path, text: str, defaults: AgentDefaults | None = None) -> list[str]:
    file = folder / "ada.yaml"
    file.write_text(text)
    installed = Installed(engines_from([VOSK]), OnlyClock())
    problems = check_agents([file], defaults or AgentDefaults(), installed)
    return [str(problem).removeprefix(f"{folder}/") for problem in problems]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "engines:\n  stt: vsok\n",
            "ada.yaml:2: There is no stt engine vsok. Did you mean vosk?",
        ),
        (
            "engines:\n  stt:\n    - auto\n    - vsok\n",
            "ada.yaml:4: There is no stt engine vsok. Did you mean vosk?",
        ),
        (
            "engines:\n  stt:\n    engine: vosk\n    lowdness: 2\n",
            "ada.yaml:4: the stt engine vosk has no option lowdness. Did you mean loudness?",
        ),
        (
            "engines:\n  stt:\n    - engine: vosk\n      loudness: very\n",
            "ada.yaml:4: loudness of the stt engine vosk: must be a valid integer, unable to parse "
            "string as an integer.",
        ),
        (
            "tools:\n  - clock\n  - clokc\n",
            "ada.yaml:3: There is no tool clokc. Did you mean clock?",
        ),
        (
            "tools:\n  - clock\ntool_rules:\n  time_mow: {confirms: true}\n",
            'ada.yaml:3: tool_rules: the agent has no tool "time_mow". Did you mean time_now?',
        ),
        (
            "tools:\n  - clock\ntool_rules:\n  time_now: {on_interruption: wait}\n",
            "ada.yaml:4: tool_rules.time_now.on_interruption: takes 'cancel' or 'finish', "
            "not wait.",
        ),
    ],
)
def test_what_a_file_names_and_does_not_exist_is_said_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    assert check(tmp_path, text) == [said]


def test_an_option_that_a_setting_may_bring_is_not_missed(tmp_path: Path) -> None:
    assert check(tmp_path, "engines: {stt: vosk}\ntools: [clock]\n") == []


def test_a_wrong_setting_is_not_the_files_fault(tmp_path: Path) -> None:
    defaults = AgentDefaults(engines={"stt": read_wishes("nonsense", by="PARLEY_STT")})

    assert check(tmp_path, "title: Ada\n", defaults) == []


def test_problems_of_writing_and_of_naming_come_together_for_several_files(tmp_path: Path) -> None:
    wrong = tmp_path / "bob.yaml"
    wrong.write_text("titel: Bob\n")
    naming = tmp_path / "cleo.yaml"
    naming.write_text("title: Cleo\ntools: [foo]\n")

    problems = check_agents(
        [wrong, naming], AgentDefaults(), Installed(engines_from([VOSK]), OnlyClock())
    )

    assert [(problem.file.stem, problem.line) for problem in problems] == [("bob", 1), ("cleo", 2)]
