"""A conversation in the exact form that Llama 3.2 was trained on.

Control tokens and text stay apart until the text has become tokens, so nothing that a caller says
can become a control token. The words around the tools are those of the model's own chat template
(its branch that tells tools to the system); changed words would make it call tools worse.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from parley.core.errors import BadRequest
from parley.engines.llm.messages import plain_messages, tool_list
from parley.engines.spec import Message, ToolSchema

BEGIN = "<|begin_of_text|>"
START_HEADER, END_HEADER = "<|start_header_id|>", "<|end_header_id|>"
END_OF_TURN = "<|eot_id|>"
ENDS = (END_OF_TURN, "<|end_of_text|>", "<|eom_id|>")
"""The model ends its reply with one of these."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TOOLS_INTRO = (
    "You have access to the following functions. To call a function, please respond with JSON for "
    'a function call.Respond in the format {"name": function name, "parameters": dictionary of '
    "argument name and its value}.Do not use variables.\n\n"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A control token, or a run of text."""

    text: str
    is_control: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """``steady`` is the same in every turn of a call; ``reply`` is how the answer must begin."""

    steady: tuple[Segment, ...]
    turns: tuple[Segment, ...]
    reply: str = ""

    def __str__(self) -> str:
        return "".join(segment.text for segment in (*self.steady, *self.turns))


def llama_prompt(
    messages: Sequence[Message],
    tools: Sequence[ToolSchema],
    today: date,
    tool_choice: str = "",
) -> Prompt:
    """The prompt that asks for the assistant's next message.

    ``tool_choice`` is OpenAI's: with ``required`` or a tool's name the reply is begun as a call.
    """
    reply = "" if tool_choice == "none" else _forced_reply(tools, tool_choice)
    offered = () if tool_choice == "none" else tools
    plain = plain_messages(messages)
    system = ""
    if plain and plain[0]["role"] == "system":
        system = str(plain.pop(0)["content"]).strip()
    steady = (Segment(BEGIN, True), *_message("system", _system(system, offered, today)))
    turns = [segment for message in plain for segment in _turn(message)]
    turns += [*_header("assistant"), Segment(f"\n\n{reply}")]
    return Prompt(steady, tuple(turns), reply)


def _system(instructions: str, tools: Sequence[ToolSchema], today: date) -> str:
    day = f"{today.day:02d} {_MONTHS[today.month - 1]} {today.year}"
    text = f"Cutting Knowledge Date: December 2023\nToday Date: {day}\n\n"
    if tools:
        told = "".join(f"{_json(tool, indent=4)}\n\n" for tool in tool_list(tools))
        text = f"Environment: ipython\n{text}{_TOOLS_INTRO}{told}"
    return text + instructions


def _turn(message: Message) -> Iterator[Segment]:
    content = str(message["content"])
    if message["role"] == "tool":
        yield from _message("ipython", _json(content))
        return
    # The template knows one call in a message, without words beside it.
    calls: Sequence[dict[str, Any]] = message.get("tool_calls", ())
    if content.strip() or not calls:
        yield from _message(str(message["role"]), content.strip())
    for call in calls:
        yield from _message("assistant", _call(call["function"]))


def _call(function: dict[str, Any]) -> str:
    try:
        arguments = json.loads(function["arguments"] or "{}")
    except ValueError:
        arguments = {}
    return f'{{"name": "{function["name"]}", "parameters": {_json(arguments)}}}'


def _forced_reply(tools: Sequence[ToolSchema], choice: str) -> str:
    if choice in ("", "auto", "none"):
        return ""
    names = [tool.name for tool in tools]
    if choice == "required" and len(names) != 1:
        if not names:
            raise BadRequest("A tool call is required, but no tool is offered.")
        return '{"name": "'
    if choice != "required" and choice not in names:
        raise BadRequest(f"The tool {choice!r} is required, but it is not offered.")
    return f'{{"name": "{choice if choice in names else names[0]}", "parameters": '


def _message(role: str, content: str) -> Iterator[Segment]:
    yield from _header(role)
    yield Segment(f"\n\n{content}")
    yield Segment(END_OF_TURN, True)


def _header(role: str) -> Iterator[Segment]:
    yield Segment(START_HEADER, True)
    yield Segment(role)
    yield Segment(END_HEADER, True)


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
