"""An agent's file: what it may say, and how its author learns what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parley.agents.reading import AgentDefaults, Reading, read_agent
from parley.agents.schema import Agent
from parley.core.shipped import shipped_folder
from parley.engines.wish import EngineWish, read_wishes

DEFAULTS = AgentDefaults()


def reading_of(
    folder: Path, text: str, *, name: str = "ada", defaults: AgentDefaults = DEFAULTS
) -> Reading:
    file = folder / f"{name}.yaml"
    file.write_text(text)
    return read_agent(file, defaults)


def agent_of(folder: Path, text: str, **more: Any) -> Agent:
    reading = reading_of(folder, text, **more)
    assert reading.problems == ()
    assert reading.agent is not None
    return reading.agent


def complaints(folder: Path, text: str) -> list[str]:
    reading = reading_of(folder, text)
    assert reading.agent is None
    return [str(problem).removeprefix(f"{folder}/") for problem in reading.problems]


def test_a_file_that_says_one_thing_has_defaults_for_the_rest(tmp_path: Path) -> None:
    agent = agent_of(tmp_path, "title: Ada\n")

    assert (agent.name, agent.label) == ("ada", "Ada")
    assert agent.greeting.text
    assert agent.turn_taking.unsure_wait_ms == 600
    assert agent.turn_taking.endpointing == "smart_turn"
    assert agent.tools == ()


def test_everything_that_a_file_can_say_is_understood(tmp_path: Path) -> None:
    agent = agent_of(
        tmp_path,
        """
title: Ada
description: Knows numbers.
greeting:
  instruction: Say hello.
instructions: Count.
language: de
engines:
  stt: [deepgram, auto]
  llm: {engine: openai, temperature: 0.3}
  tts: builtin
voice: de+f2
speech_speed: 1.2
turn_taking:
  vad: {confidence: 0.2, start_ms: 50, stop_ms: 400, min_volume: 0}
  endpointing: silence
  silence_ms: 700
  interruptions: false
  wake_phrases: [hello ada]
  idle_s: 0
  max_call_s: 60
tools:
  - clock
  - calendar:
      slot_minutes: 20
  - telephone:
sorry: {llm: Entschuldigung.}
goodbye: ""
time_zone: Europe/Berlin
""",
    )

    assert agent.greeting.instruction == "Say hello."
    assert [wish.name for wish in agent.engines.stt] == ["deepgram", "auto"]
    assert agent.engines.llm == (EngineWish("openai", {"temperature": 0.3}),)
    assert agent.turn_taking.vad.stop_ms == 400
    assert agent.turn_taking.interruptions is False
    assert agent.turn_taking.wake_phrases == ("hello ada",)
    assert [(tool.name, tool.options) for tool in agent.tools] == [
        ("clock", {}),
        ("calendar", {"slot_minutes": 20}),
        ("telephone", {}),
    ]
    assert agent.sorry.llm == "Entschuldigung."
    assert agent.sorry.stt
    assert agent.goodbye == ""


def test_a_greeting_can_be_a_text_or_nothing(tmp_path: Path) -> None:
    assert agent_of(tmp_path, "greeting: Hi!\n").greeting.text == "Hi!"

    silent = agent_of(tmp_path, 'greeting: ""\n').greeting

    assert (silent.text, silent.instruction) == ("", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: Ada\ngreting: Hi\n", "ada.yaml:2: greting is not known. Did you mean greeting?"),
        (
            "turn_taking:\n  vad:\n    confidance: 1\n",
            "ada.yaml:3: confidance in turn_taking.vad is not known. Did you mean confidence?",
        ),
        (
            "turn_taking:\n\n  endpointing: magic\n",
            "ada.yaml:3: turn_taking.endpointing: takes 'smart_turn' or 'silence', not magic.",
        ),
        (
            "turn_taking: {idle_s: -1}\n",
            "ada.yaml:1: turn_taking.idle_s: must be greater than or equal to 0, not -1.",
        ),
        ("title: [a, b]\n", "ada.yaml:1: title: must be a valid string, not a list like this."),
        ("tools:\n  - clock\n  - {a: 1, b: 2}\n", "ada.yaml:3: tools.1: takes a name, or one"),
        ("tools:\n  - a: 7\n", "ada.yaml:2: tools.0.options: must be a valid dictionary, not 7."),
        ("engines:\n  stt: []\n", "ada.yaml:2: engines.stt: a list of engines needs at least one"),
        ("engines:\n  tts: {voice: x}\n", "ada.yaml:2: engines.tts: a mapping needs engine:"),
        ("engines:\n  sst: auto\n", "ada.yaml:2: sst in engines is not known. Did you mean stt?"),
        ("greeting:\n  text: a\n  instruction: b\n", "ada.yaml:1: greeting: takes text or instr"),
        ("time_zone: Atlantis\n", "ada.yaml:1: time_zone: takes a name such as Europe/London"),
        ("language: two words\n", "ada.yaml:1: language: takes a language tag such as en"),
        ("title: a\nname: b\n", "ada.yaml:2: An agent's name is its file's name, ada."),
        ("title: 'a\n", "ada.yaml:"),
        ("- a\n", "ada.yaml:1: An agent's file holds lines such as greeting: Hello."),
        ("", "ada.yaml:1: An agent's file holds lines such as greeting: Hello."),
        ("title: a\ntitle: b\n", 'ada.yaml:2: "title" is already given on line 1.'),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_what_is_allowed(
    tmp_path: Path, text: str, said: str
) -> None:
    found = complaints(tmp_path, text)

    assert len(found) == 1
    assert found[0].startswith(said)


def test_several_mistakes_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    found = complaints(tmp_path, "voice: 7\nturn_taking: {max_call_s: no}\nfoo: 1\n")

    assert [line.split(":")[1] for line in found] == ["1", "2", "3"]


def test_a_name_that_no_call_could_ask_for_is_refused(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, "title: a\n", name="front desk")

    assert "letters, digits" in str(reading.problems[0])


def test_a_file_that_cannot_be_read_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    reading = read_agent(tmp_path / "gone.yaml", DEFAULTS)

    assert "No such file" in str(reading.problems[0])


def test_a_file_beats_settings_and_settings_fill_what_it_leaves_out(tmp_path: Path) -> None:
    defaults = AgentDefaults(
        name="desk",
        language="de",
        engines={"stt": read_wishes("vosk"), "tts": read_wishes("piper")},
    )

    agent = agent_of(tmp_path, "language: fr\nengines: {stt: auto}\n", defaults=defaults)
    silent = agent_of(tmp_path, "title: x\n", defaults=defaults)

    assert (agent.language, agent.engines.stt[0].name) == ("fr", "auto")
    assert agent.engines.tts[0].name == "piper"
    assert (silent.language, silent.engines.stt[0].name) == ("de", "vosk")


def test_the_system_instruction_replaces_the_default_agents_instructions_only(
    tmp_path: Path,
) -> None:
    defaults = AgentDefaults(name="desk", instructions="Be brief.")

    desk = agent_of(tmp_path, "instructions: Be long.\n", name="desk", defaults=defaults)
    other = agent_of(tmp_path, "instructions: Be long.\n", name="other", defaults=defaults)

    assert desk.instructions == "Be brief."
    assert other.instructions == "Be long."


def test_without_a_file_settings_alone_make_the_default_agent() -> None:
    defaults = AgentDefaults(name="desk", language="de", instructions="Be brief.")

    agent = defaults.agent()

    assert (agent.name, agent.language, agent.instructions) == ("desk", "de", "Be brief.")
    assert agent.greeting.text


def test_an_agent_never_changes(tmp_path: Path) -> None:
    agent = agent_of(tmp_path, "title: Ada\n")

    with pytest.raises(ValueError, match="frozen"):
        agent.title = "Bob"


def test_the_receptionist_that_ships_is_right_and_leaves_engines_to_the_settings() -> None:
    reading = read_agent(shipped_folder() / "receptionist.yaml", DEFAULTS)

    assert reading.problems == ()
    assert reading.agent is not None
    assert [tool.name for tool in reading.agent.tools] == ["n8n", "clock", "telephone"]
    assert [wishes[0].name for wishes in reading.agent.engines.wishes().values()] == ["auto"] * 3


def test_what_an_agent_must_not_say_is_read_as_patterns(tmp_path: Path) -> None:
    agent = agent_of(tmp_path, "safety:\n  refuse: ['\\bpin\\b']\n  sentence: No.\n")

    refusals = agent.safety.refusals()

    assert refusals is not None
    assert refusals.hits("My PIN is")
    assert not refusals.hits("opinion")


def test_a_broken_pattern_is_told_of_with_its_line(tmp_path: Path) -> None:
    (problem,) = complaints(tmp_path, "safety:\n  refuse:\n    - fine\n    - '(broken'\n")

    assert problem.startswith("ada.yaml:4")
    assert "regular expression" in problem
