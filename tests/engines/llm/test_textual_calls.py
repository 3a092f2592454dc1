"""Tool calls that models write as text are run; nothing of them is ever spoken."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parley.core.errors import EngineFailed
from parley.engines.llm.textual_calls import spoken_deltas
from parley.engines.spec import Delta, ToolRequest, ToolSchema, Usage

TOOLS = (
    ToolSchema(
        "find_time",
        "Finds a free time.",
        {
            "type": "object",
            "properties": {
                "day": {"type": "string"},
                "count": {"type": "integer"},
                "early": {"type": "boolean"},
                "people": {"type": "array", "items": {"type": "string"}},
            },
        },
    ),
    ToolSchema("clock", "Tells the time.", {"type": "object", "properties": {}}),
)
MONDAY = [("find_time", {"day": "Monday"})]
CLOCK = [("clock", {})]


class Source:
    """A model's deltas; knows whether it was closed."""

    def __init__(self, *deltas: Delta) -> None:
        self.deltas = deltas
        self.given = 0
        self.is_closed = False

    async def chat(self) -> AsyncGenerator[Delta]:
        try:
            for delta in self.deltas:
                self.given += 1
                yield delta
        finally:
            self.is_closed = True


def pieces(text: str, size: int) -> list[Delta]:
    return [Delta(text=text[at : at + size]) for at in range(0, len(text), size)]


async def passed(deltas: Sequence[Delta], tools: Sequence[ToolSchema] = TOOLS) -> list[Delta]:
    return [delta async for delta in spoken_deltas(Source(*deltas).chat(), tools)]


def words(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def calls(deltas: Sequence[Delta]) -> list[tuple[str, dict[str, object]]]:
    return [(call.name, call.arguments) for delta in deltas for call in delta.tools]


WRITTEN = [
    ('{"name": "find_time", "parameters": {"day": "Monday"}}', MONDAY),
    ('{"name": "find_time", "arguments": {"day": "Monday"}}', MONDAY),
    ('{"type": "function", "function": {"name": "clock", "parameters": {}}}', CLOCK),
    ('{"type": "function", "name": "clock", "parameters": {}}', CLOCK),
    ('{"function_call": {"name": "find_time", "arguments": "{\\"day\\": \\"Monday\\"}"}}', MONDAY),
    ('{"tool_calls": [{"name": "clock"}]}', CLOCK),
    ('{"find_time": {"day": "Monday"}}', MONDAY),
    ('{"function": "find_time", "day": "Monday"}', MONDAY),
    ('[{"name": "clock"}, {"name": "find_time", "parameters": {"day": "Monday"}}]',
     CLOCK + MONDAY),
    ('{"name": "clock", "parameters": {}}; {"name": "find_time", "parameters": {"day": "Monday"}}',
     CLOCK + MONDAY),
    ('```json\n{"name": "find_time", "parameters": {"day": "Monday"}}\n```', MONDAY),
    ('```tool_code\nprint(find_time(day="Monday"))\n```', MONDAY),
    ('<tool_call>\n{"name": "find_time", "arguments": {"day": "Monday"}}\n</tool_call>', MONDAY),
    ('<tool_call><function=find_time><parameter=day>\nMonday\n</parameter></function></tool_call>',
     MONDAY),
    ('<function=find_time>{"day": "Monday"}</function>', MONDAY),
    ('<function=find_time>{"day": "Monday"}', MONDAY),
    ('<invoke name="find_time"><parameter name="day">Monday</parameter></invoke>', MONDAY),
    ('<|python_tag|>{"name": "find_time", "parameters": {"day": "Monday"}}', MONDAY),
    ('<|python_tag|>find_time.call(day="Monday")<|eom_id|>', MONDAY),
    ('[TOOL_CALLS][{"name": "find_time", "arguments": {"day": "Monday"}}]', MONDAY),
    ('[TOOL_CALLS]find_time[ARGS]{"day": "Monday"}', MONDAY),
    ('<|tool_call_start|>[find_time(day="Monday")]<|tool_call_end|>', MONDAY),
    ('<|start|>assistant<|channel|>commentary to=functions.find_time <|constrain|>json<|message|>'
     '{"day": "Monday"}<|call|>', MONDAY),
    ('<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>find_time\n```json\n'
     '{"day": "Monday"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>', MONDAY),
    ('[find_time(day="Monday"), clock()]', MONDAY + CLOCK),
    ("clock()", CLOCK),
    ('{"name": "functions.Find-Time", "parameters": {"Day": "Monday"}}', MONDAY),
    ("{'name': 'find_time', 'parameters': {'day': 'Monday',},}", MONDAY),
    ("{name: find_time, parameters: {day: Monday}}", MONDAY),
    ('{"name": "find_time", "parameters": {"day": "Monday"', MONDAY),
    ('{"name": "find_time", "parameters": {"type": "object", "properties": {"day": "Monday"}}}',
     MONDAY),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(("text", "expected"), WRITTEN)
async def test_a_call_in_any_known_form_is_run_and_not_spoken(text, expected, size):
    deltas = await passed(pieces(text, size))

    assert calls(deltas) == expected
    assert words(deltas) == ""


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("<think>I must {be} kind.</think>\n\nHello!", "Hello!"),
        ("<reasoning>Well…</reasoning>Hello!", "Hello!"),
        ("[THINK]Hm.[/THINK]Hello!", "Hello!"),
        (
            "<|channel|>analysis<|message|>Think.<|end|><|start|>assistant<|channel|>final"
            "<|message|>Hello!<|return|>",
            "Hello!",
        ),
        ("Hello!<|im_end|>\n<|im_start|>user\nAnd then I say", "Hello!"),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nHello!", "Hello!"),
        ("Hello!</s><s>[INST]", "Hello!"),
        ('Fine. {"name": "unknown", "parameters": {}} Bye.', "Fine.  Bye."),
        ('The clock. {"name": "clock", "parameters": {}} It is noon.', "The clock. "),
        ("Here: ```py\nx = 1\n``` done.", "Here:  done."),
    ],
)
async def test_reasoning_and_control_tokens_are_not_spoken(text, spoken):
    for size in (1, 4, 1000):
        assert words(await passed(pieces(text, size))) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "Hello {name}, press [1] or [ ok ]. 2 < 3 <3 and a <",
        "I <laugh> can <b>see</b> `it`, see [this](http://example.org).",
        "clock (on the wall), find_time and clocks: the [two] of them.",
        "a [",
        "a {",
        "find_time(s) is what we do",
    ],
)
async def test_ordinary_text_stays_as_it_is(text):
    for size in (1, 4, 1000):
        assert words(await passed(pieces(text, size))) == text


async def test_ordinary_text_is_not_held_back():
    tokens = [Delta(text=token) for token in ["Hello", ",", " it", " is", " [", "noon", "]."]]

    deltas = await passed(tokens)

    assert [d.text for d in deltas[: len(tokens)]] == [
        "Hello", ",", " it", " is", " ", "[noon", "].",
    ]  # fmt: skip


async def test_arguments_become_what_the_schema_wants():
    text = (
        '{"name": "find_time", "parameters": '
        '{"count": "3", "early": "true", "day": 5, "people": "Ann", "more": 1}}'
    )

    deltas = await passed(pieces(text, 5))

    expected = {"count": 3, "early": True, "day": "5", "people": ["Ann"], "more": 1}
    assert calls(deltas) == [("find_time", expected)]


async def test_a_proper_request_passes_with_its_id_and_mended_arguments():
    request = ToolRequest("call_1", "find_time", {"count": "3"})

    deltas = await passed([Delta(text="Wait. "), Delta(tools=(request,), finish="tool_calls")])

    assert deltas[-1].tools == (ToolRequest("call_1", "find_time", {"count": 3}),)


@pytest.mark.parametrize("is_written_first", [True, False])
async def test_a_call_that_is_both_asked_for_and_written_runs_once(is_written_first: bool):
    asked = Delta(tools=(ToolRequest("call_1", "clock", {}),))
    written = Delta(text='{"name": "clock", "parameters": {}}')

    deltas = await passed([written, asked] if is_written_first else [asked, written, written])

    assert calls(deltas) == CLOCK


async def test_usage_and_finish_arrive_and_a_written_call_counts_as_one():
    deltas = await passed(
        [*pieces(WRITTEN[0][0], 4), Delta(finish="stop"), Delta(usage=Usage(1, 2))]
    )

    assert [d.finish for d in deltas if d.finish] == ["tool_calls"]
    assert [d.usage for d in deltas if d.usage] == [Usage(1, 2)]


@pytest.mark.parametrize(
    "text", ['{"name": "unknown", "parameters": {}}', "<think>never ends", "```\nx\n```"]
)
async def test_a_reply_with_nothing_to_say_or_do_is_a_failure(text):
    with pytest.raises(EngineFailed):
        await passed(pieces(text, 4))


async def test_a_reply_that_is_empty_by_itself_is_none():
    assert words(await passed([Delta(finish="stop")])) == ""


async def test_closing_it_closes_the_model():
    source = Source(*pieces("A long story that goes on", 2))
    deltas = spoken_deltas(source.chat(), TOOLS)

    await anext(deltas)
    await deltas.aclose()

    assert source.is_closed
    assert source.given == 1


async def test_a_model_that_talks_on_after_its_end_is_stopped():
    source = Source(Delta(text="Hello.<|eot_id|>"), *pieces("And on and on", 2))

    said = [delta.text async for delta in spoken_deltas(source.chat(), TOOLS)]

    assert "".join(said) == "Hello."
    assert source.is_closed
    assert source.given == 1


@example(text="<|a|>: ", cuts=[1])
@given(
    text=st.text(alphabet="ab {}[]\"':,<>|/`\n(clock)tink_", max_size=80),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8),
)
async def test_how_a_reply_is_cut_does_not_matter(text, cuts):
    async def outcome(deltas: list[Delta]) -> object:
        try:
            out = await passed(deltas)
        except EngineFailed:
            return "failed"
        return words(out), calls(out)

    parts, at, turn = [], 0, 0
    while at < len(text):
        parts.append(Delta(text=text[at : at + cuts[turn % len(cuts)]]))
        at += cuts[turn % len(cuts)]
        turn += 1

    assert await outcome(parts) == await outcome([Delta(text=text)])


@given(day=st.text(max_size=30), before=st.sampled_from(["", "Let me see. ", "Well:\n"]))
async def test_whatever_the_arguments_hold_none_of_it_is_spoken(day, before):
    text = before + json.dumps({"name": "find_time", "parameters": {"day": day}})

    deltas = await passed(pieces(text, 7))

    assert words(deltas) == before
    assert calls(deltas) == [("find_time", {"day": day})]
