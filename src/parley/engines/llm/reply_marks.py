"""The marks that language models write into their replies though nobody should hear them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class Holds(Enum):
    """What stands behind a mark."""

    NOTHING = auto()
    """The mark itself is all."""
    CALLS = auto()
    """Tool calls, up to one of the closers."""
    SILENCE = auto()
    """Reasoning, a made-up tool result: it goes away."""
    HEADER = auto()
    """The head of a harmony message, which says what its body is."""
    END = auto()
    """The reply is over; whatever follows was never meant to be."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark opens and what closes it. Closers in ``stays`` open the next thing as well."""

    holds: Holds
    closers: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    name: str = ""


FENCE = Mark(Holds.CALLS, ("```",))

_HARMONY_ENDS = ("<|end|>", "<|call|>", "<|return|>")
_HARMONY_STARTS = ("<|channel|>", "<|start|>")
HARMONY_THOUGHT = Mark(Holds.SILENCE, _HARMONY_ENDS, _HARMONY_STARTS)

_REASONING = (
    "think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad",
    "analysis", "inner_monologue", "tool_response", "tool_result", "tool_results",
    "function_result", "function_results", "tool_output",
)  # fmt: skip
_CALLING = (
    "tool_call", "tool_calls", "toolcall", "function_call", "function_calls", "functioncall",
    "tool_use", "function", "invoke",
)  # fmt: skip
TAG_NAMES = (*_REASONING, *_CALLING, "s", "bos", "eos", "end_of_turn", "start_of_turn", "pad")

_TOKENS: Mapping[str, Mark] = {
    "<|channel|>": Mark(Holds.HEADER, ("<|message|>",), _HARMONY_STARTS),
    "<|start|>": Mark(Holds.SILENCE, ("<|message|>",), ("<|channel|>",)),
    "<|start_header_id|>": Mark(Holds.SILENCE, ("<|end_header_id|>",)),
    "<|im_start|>": Mark(Holds.SILENCE, ("\n",)),
    "<|python_tag|>": Mark(Holds.CALLS, ("<|eom_id|>", "<|eot_id|>"), ("<|python_tag|>",)),
    "<|tool_call|>": Mark(Holds.CALLS, ("<|/tool_call|>", "<|end|>"), ("<|tool_call|>",)),
    "<|tool_call_start|>": Mark(Holds.CALLS, ("<|tool_call_end|>",)),
    "<|tool_calls_section_begin|>": Mark(Holds.CALLS, ("<|tool_calls_section_end|>",)),
    "<|tool_calls_begin|>": Mark(Holds.CALLS, ("<|tool_calls_end|>", "<｜tool▁calls▁end｜>")),
    "<|im_end|>": Mark(Holds.END),
    "<|eot_id|>": Mark(Holds.END),
    "<|eom_id|>": Mark(Holds.END),
    "<|endoftext|>": Mark(Holds.END),
    "<|end_of_text|>": Mark(Holds.END),
    "<|end_of_sentence|>": Mark(Holds.END),
    "<|return|>": Mark(Holds.END),
    "<|user|>": Mark(Holds.END),
}
_BRACKETS: Mapping[str, Mark] = {
    "[TOOL_CALLS]": Mark(Holds.CALLS, ("[/TOOL_CALLS]", "</s>"), ("[TOOL_CALLS]",)),
    "[THINK]": Mark(Holds.SILENCE, ("[/THINK]",)),
    "[TOOL_RESULTS]": Mark(Holds.SILENCE, ("[/TOOL_RESULTS]",)),
    "[/THINK]": Mark(Holds.NOTHING),
    "[/TOOL_CALLS]": Mark(Holds.NOTHING),
    "[INST]": Mark(Holds.END),
    "[/INST]": Mark(Holds.NOTHING),
}
BRACKET_MARKS = tuple(_BRACKETS)

_NAMED = re.compile(r"<(?:function|invoke)(?:=|\s+name\s*=\s*)[\"']?([\w.:-]+)[\"']?\s*>", re.I)
_CALLED_IN_HEADER = re.compile(r"\bto=(?:functions\.)?([\w.-]+)")


def token_mark(token: str) -> Mark:
    """What ``<|…|>`` means; DeepSeek writes its own with full-width bars."""
    plain = token.replace("｜", "|").replace("▁", "_").lower()
    return _TOKENS.get(plain, Mark(Holds.NOTHING))


def bracket_mark(text: str) -> tuple[str, Mark] | None:
    """The Mistral mark that ``text`` starts with, and what it means."""
    for opener, mark in _BRACKETS.items():
        if text.startswith(opener):
            return opener, mark
    return None


def tag_mark(tag: str, name: str) -> Mark:
    """What a tag of a name in ``TAG_NAMES`` means; ``tag`` is all of it."""
    name = name.lower()
    if tag.startswith("</"):
        return Mark(Holds.END if name == "s" else Holds.NOTHING)
    if name in _REASONING:
        return Mark(Holds.SILENCE, (f"</{name}>",))
    if name in ("eos", "end_of_turn"):
        return Mark(Holds.END)
    if name == "start_of_turn":
        return Mark(Holds.SILENCE, ("\n",))
    if name not in _CALLING:
        return Mark(Holds.NOTHING)
    named = _NAMED.fullmatch(tag)
    again = (f"<{name}=", f"<{name} ") if named else (f"<{name}>",)
    return Mark(Holds.CALLS, (f"</{name}>",), again, named[1] if named else "")


def harmony_body(header: str) -> Mark | None:
    """What follows a harmony header; None for words that the caller is meant to hear."""
    called = _CALLED_IN_HEADER.search(header)
    if called:
        return Mark(Holds.CALLS, _HARMONY_ENDS, _HARMONY_STARTS, called[1])
    return HARMONY_THOUGHT if header.strip().lower().startswith("analysis") else None
