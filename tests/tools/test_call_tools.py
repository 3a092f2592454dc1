"""What an agent may do to its call: only what its file allows, and told as the model can use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parley.core.errors import BadAudio, BadRequest, FarSideRefused, ToolFailed
from parley.tools.catalog import ToolCatalog
from parley.tools.spec import DigitsGiven, DigitsWanted
from tests.tools.actions import Belt

TARGETS = {"transfer": {"targets": {"Billing": "sip:200@pbx.example", "desk": "tel:+4930123"}}}


def belt_with(*wanted: Any, folder: Path | None = None) -> Belt:
    return Belt(ToolCatalog().tools_for(wanted, folder=folder))


# ── transfer and hold ────────────────────────────────────────────────────────────────────────


async def test_a_caller_is_handed_on_to_whom_the_file_names():
    belt = belt_with(TARGETS)

    answer = await belt.use("transfer", to="billing")

    assert belt.actions.done == [("transfer", "sip:200@pbx.example")]
    assert answer == {"status": "transferred", "to": "Billing"}
    assert belt.tools["transfer"].parameters["properties"]["to"]["enum"] == ["Billing", "desk"]


@pytest.mark.parametrize("to", ["sip:300@elsewhere.example", "+49900123456", "nobody"])
async def test_nobody_else_is_reached_whatever_the_model_asks_for(to: str):
    belt = belt_with(TARGETS)

    with pytest.raises(ToolFailed, match="can be handed on to Billing, desk"):
        await belt.use("transfer", to=to)

    assert belt.actions.done == []


@pytest.mark.parametrize("tool", ["transfer", "hold_call", "resume_call", "send_digits"])
async def test_what_the_far_side_refuses_is_told_in_a_sentence(tool: str):
    belt = belt_with(TARGETS, "hold", "keypad")
    belt.actions.refusal = FarSideRefused("The line is busy (486).")
    arguments = {"transfer": {"to": "desk"}, "send_digits": {"digits": "1"}}.get(tool, {})

    with pytest.raises(ToolFailed, match=r"The line is busy \(486\)"):
        await belt.use(tool, **arguments)


async def test_a_caller_waits_and_is_taken_back():
    belt = belt_with("hold")

    answers = [await belt.use("hold_call"), await belt.use("resume_call", reason="done")]

    assert belt.actions.done == ["hold", "resume"]
    assert answers == [{"status": "on_hold"}, {"status": "resumed"}]


# ── keys ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("digits", ["0 30-12 #", "03012#"])
async def test_keys_are_pressed_as_models_write_them(digits: str):
    belt = belt_with("keypad")

    await belt.use("send_digits", digits=digits)

    assert belt.actions.done == [("send_digits", "03012#")]


async def test_each_number_has_a_tool_of_its_own_with_its_own_rules():
    pin = {"digits": 4, "secret": True, "terminator": "", "first_s": 5, "between_s": 2}
    belt = belt_with({"keypad": {"collect": {"pin": pin, "order": {}}}})
    belt.actions.given = DigitsGiven("4711", "count", "keys")

    answer = await belt.use("collect_pin", prompt="Your PIN, please.")
    await belt.use("collect_order")

    assert belt.actions.done == [
        ("collect_digits", DigitsWanted(4, "", 5, 2, 4, True), "Your PIN, please."),
        ("collect_digits", DigitsWanted(0, "#", 10, 4, 64, False), ""),
    ]
    assert answer == {"status": "complete", "digits": "4711", "spoken": "4 7 1 1", "by": "keys"}
    assert belt.tools["collect_pin"].hides_answer and not belt.tools["collect_order"].hides_answer


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (DigitsGiven("", "silence", "nobody"), {"status": "nothing", "digits": ""}),
        (
            DigitsGiven("", "said", "nobody", "I forgot it"),
            {"status": "said", "digits": "", "said": "I forgot it"},
        ),
        (
            DigitsGiven("12", "silence", "voice"),
            {"status": "incomplete", "digits": "12", "spoken": "1 2", "by": "voice"},
        ),
    ],
)
async def test_what_is_no_whole_number_is_told_as_that(given: DigitsGiven, answer: dict[str, Any]):
    belt = belt_with({"keypad": {"collect": {"pin": {"digits": 4}}}})
    belt.actions.given = given

    assert await belt.use("collect_pin") == answer


# ── recordings ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    agents = tmp_path / "agents"
    (agents / "recordings").mkdir(parents=True)
    for name in ("recordings/notice.wav", "recordings/notes.txt", "secret.wav"):
        (agents / name).write_bytes(b"x")
    (tmp_path / "outside.wav").write_bytes(b"x")
    (agents / "recordings/link.wav").symlink_to(tmp_path / "outside.wav")
    return agents


async def test_a_recording_of_the_agents_is_played(folder: Path):
    belt = belt_with({"recordings": {"interruptible": False}}, folder=folder)
    belt.actions.is_heard = False

    answer = await belt.use("play_recording", name="notice.wav")

    assert belt.actions.done == [("play", folder / "recordings/notice.wav", False)]
    assert answer == {"status": "interrupted"}


@pytest.mark.parametrize(
    "name",
    [
        "../secret.wav",
        "../../outside.wav",
        "/etc/passwd",
        "link.wav",
        "notes.txt",
        "nothing.wav",
        ".",
        "a\0b.wav",
    ],
)
async def test_no_other_file_is(folder: Path, name: str):
    belt = belt_with("recordings", folder=folder)

    with pytest.raises(ToolFailed, match="There is no recording"):
        await belt.use("play_recording", name=name)

    assert belt.actions.done == []


async def test_a_file_that_is_no_sound_is_told_of(folder: Path):
    belt = belt_with("recordings", folder=folder)
    belt.actions.refusal = BadAudio("there is no sound in it")

    with pytest.raises(ToolFailed, match=r"notice\.wav can't be played: there is no sound in it"):
        await belt.use("play_recording", name="notice.wav")


async def test_an_agent_without_a_folder_says_so():
    with pytest.raises(ToolFailed, match="no folder"):
        await belt_with("recordings").use("play_recording", name="notice.wav")


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"transfer": {"targets": {"desk": "100"}}}, "takes an address such as sip:100@"),
        ({"transfer": {"targets": {"desk": "sip:1@x\r\nEvil: 1"}}}, "takes an address"),
        ({"keypad": {"collect": {"My PIN": {}}}}, "collect"),
        ({"keypad": {"collect": {"pin": {"digits": 100}}}}, "digits"),
        ({"recordings": {"folder": "../elsewhere"}}, "below that of the agent's file"),
        ({"recordings": {"folder": "/etc"}}, "below that of the agent's file"),
    ],
)
def test_options_that_make_no_sense_are_refused_when_the_file_is_read(
    wish: dict[str, Any], says: str
):
    with pytest.raises(BadRequest, match=says):
        ToolCatalog().tools_for([wish])
