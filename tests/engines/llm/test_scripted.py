"""The scripted engine as the rest of Parley sees it: a model that is none."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from parley.core.errors import BadScript, BadSettings
from parley.engines.jsgf import fold_jsgf
from parley.engines.llm.scripted import SPEC, ScriptedChatter, ScriptedOptions
from parley.engines.spec import ChatOptions, ToolSchema
from tests.engines.llm.conversation import (
    Conversation,
    office_tools,
    receptionist,
    reply_of,
    schemas_of,
    tool_call_message,
    tool_message,
)

FIRST = "name: one\ngreeting: First.\nintents:\n  - {name: a, say: apple, reply: It is one.}\n"
SECOND = FIRST.replace("First.", "Second.").replace("It is one.", "It is two.")
BROKEN = "name: one\ngreeting: First.\nintents: nothing\n"


@pytest.fixture
def script(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(FIRST)
    return file


def rewrite(file, text):
    before_ns = file.stat().st_mtime_ns
    file.write_text(text)
    os.utime(file, ns=(before_ns + 10**9, before_ns + 10**9))


def test_the_spec_says_that_it_is_no_language_model():
    engine = SPEC.open(SPEC.options())

    assert (SPEC.kind, SPEC.name) == ("llm", "scripted")
    assert SPEC.is_language_model is False
    assert SPEC.is_offline is True
    assert SPEC.available(SPEC.options()) is True
    assert isinstance(engine, ScriptedChatter)


async def test_text_comes_in_several_pieces_of_a_few_words():
    text, requests, deltas = await reply_of(receptionist(), [], [])

    pieces = [delta.text for delta in deltas if delta.text]
    assert "".join(pieces) == text
    assert len(pieces) > 2
    assert all(len(piece.split()) <= 3 for piece in pieces)
    assert requests == []


async def test_usage_comes_last():
    messages = [{"role": "user", "content": "what time is it"}]

    text, _, deltas = await reply_of(receptionist(), messages, [])

    assert deltas[-1].usage is not None
    assert deltas[-1].usage.prompt_tokens == 4
    assert deltas[-1].usage.completion_tokens == len(text.split())


async def test_a_tool_is_asked_for_whole_with_an_id_that_stays():
    messages = [
        {"role": "user", "content": "book an appointment tomorrow at ten for anna"},
        {"role": "user", "content": "yes"},
    ]
    schemas = schemas_of(office_tools())

    _, once, _ = await reply_of(receptionist(), messages, schemas)
    _, again, _ = await reply_of(receptionist(), messages, schemas)
    _, other, _ = await reply_of(receptionist(), messages[:1] + messages, schemas)

    assert once == again
    assert once[0].name == "book_appointment"
    assert once[0].id.startswith("call_")
    assert other[0].id != once[0].id


async def test_a_changed_script_is_taken_up_by_the_next_conversation(script):
    engine = ScriptedChatter(ScriptedOptions(script=script))
    await engine.warm_up()
    before = Conversation(engine, tools=[])
    first = [await before.say("apple"), await before.say("apple")]

    rewrite(script, SECOND)
    going_on = await before.say("apple")
    new_grammar_has_apple = fold_jsgf(engine.grammar()).accepts("apple")
    new = await Conversation(engine, tools=[]).turn()

    assert [*first, going_on] == ["It is one."] * 3
    assert new_grammar_has_apple
    assert new == "Second."


async def test_a_script_that_is_broken_while_in_use_leaves_the_old_one_in_place(script):
    engine = ScriptedChatter(ScriptedOptions(script=str(script)))
    await engine.warm_up()

    rewrite(script, BROKEN)
    while_broken = await Conversation(engine, tools=[]).turn()
    script.unlink()
    while_gone = await Conversation(engine, tools=[]).turn()
    script.write_text(SECOND)
    mended = await Conversation(engine, tools=[]).turn()

    assert [while_broken, while_gone, mended] == ["First.", "First.", "Second."]


async def test_check_says_what_is_wrong_with_a_script(script):
    good = await ScriptedChatter(ScriptedOptions(script=script)).check()
    script.write_text(BROKEN)
    bad = await ScriptedChatter(ScriptedOptions(script=script)).check()

    assert good.ok
    assert "no language model" in good.detail
    assert not bad.ok
    assert "line 3" in bad.detail


async def test_a_script_that_is_broken_from_the_start_is_an_error(script):
    script.write_text(BROKEN)
    engine = ScriptedChatter(ScriptedOptions(script=script))

    with pytest.raises(BadScript):
        await engine.warm_up()
    with pytest.raises(BadScript):
        engine.grammar()


@pytest.mark.parametrize(
    ("own", "agents", "reply"),
    [
        ("", "", "Today is Monday, March 2nd."),
        ("", "Asia/Tokyo", "Today is Tuesday, March 3rd."),
        ("Europe/London", "Asia/Tokyo", "Today is Monday, March 2nd."),
    ],
)
async def test_today_is_the_day_in_the_agents_time_zone_unless_the_engine_has_its_own(
    own, agents, reply
):
    late_on_monday = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    engine = ScriptedChatter(ScriptedOptions(time_zone=own), clock=lambda: late_on_monday)
    messages = [{"role": "user", "content": "what day is it"}]

    deltas = engine.chat(messages, [], ChatOptions(time_zone=agents))

    assert "".join([delta.text async for delta in deltas]) == reply


def test_a_time_zone_that_is_none_is_refused():
    with pytest.raises(BadSettings, match="Write it as Europe/Berlin"):
        ScriptedChatter(ScriptedOptions(time_zone="Mars/Olympus"))


async def test_the_clock_decides_what_tomorrow_is():
    on_friday = ScriptedChatter(ScriptedOptions(), clock=lambda: datetime(2026, 12, 4, 18))

    question = await Conversation(on_friday).say("book an appointment in three days")

    assert question == "What time on Monday, December 7th?"


async def test_closing_is_harmless():
    engine = ScriptedChatter(ScriptedOptions())

    await engine.close()
    await engine.close()

    assert (await engine.check()).ok


@pytest.mark.parametrize(
    ("tool", "said"),
    [("play_recording", "What else can I do for you?"), ("hang_up", "")],
)
async def test_after_a_tool_without_words_of_its_own_the_caller_is_not_left_in_silence(
    script, tool, said
):
    script.write_text(FIRST.replace("reply: It is one.", f"reply: All right., call: {tool}"))
    engine = ScriptedChatter(ScriptedOptions(script=script))
    asked = [{"role": "user", "content": "apple"}]
    tools = [ToolSchema(tool, "", {})]

    before, requests, _ = await reply_of(engine, asked, tools)
    answer = tool_message(requests[0].id, '{"status": "ok"}')
    answered = [*asked, tool_call_message(requests[0]), answer]
    after, _, _ = await reply_of(engine, answered, tools)

    assert (before.strip(), after) == ("All right.", said)
