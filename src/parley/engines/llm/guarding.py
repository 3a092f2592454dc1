"""Keeps what a model reads and writes within bounds: length, control tokens, context, reply."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from parley.core.log import get_logger
from parley.engines.llm.refusals import Refusals
from parley.engines.llm.textual_calls import spoken_deltas
from parley.engines.spec import Delta, EngineOptions, Message, ToolSchema

log = get_logger(__name__)

SPOKEN_MAX_TOKENS = 300
CONTEXT_TOKENS = 3500
"""Fits the 4096 tokens that many servers give a model unless told otherwise, with a reply."""
USER_CHARACTERS = 2000
TOOL_CHARACTERS = 4000
SHORTENED = " … (shortened)"
LEFT_OUT: Message = {
    "role": "developer",
    "content": "(The beginning of the conversation was left out: it was too long.)",
}

_CHARACTERS_PER_TOKEN = 3.2
_TOKENS_PER_MESSAGE = 6
_MOST_CHARACTERS_PER_TOKEN = 12

_CONTROL_TOKEN = re.compile(
    r"<[|｜][^<>\n]{0,60}[|｜]>|<custom_token_\d{1,6}>"
    r"|\[/?(?:INST|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|SYSTEM_PROMPT|THINK|ARGS|CALL_ID)\]"
    r"|<</?SYS>>|</?s>|<(?:bos|eos|pad|unk|mask|start_of_turn|end_of_turn)>"
    r"|</?(?:think|tool_call|tool_response|im_start|im_end)>",
    re.IGNORECASE,
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    # Joiners shape words in Persian and Indic scripts, and emoji; between Latin letters they hide.
    "|(?<=[\x00-\u024f])[\u200c\u200d]"
)


@dataclass(frozen=True, slots=True)
class ChatLimits:
    """Bounds of one conversation; 0 is no bound. Tokens are estimated from letters."""

    context_tokens: int = CONTEXT_TOKENS
    user_characters: int = USER_CHARACTERS
    tool_characters: int = TOOL_CHARACTERS


NO_LIMITS = ChatLimits(0, 0, 0)
"""For the scripted engine, which reads the conversation itself and has no context to fill."""


def limits_of(options: EngineOptions, *, is_language_model: bool) -> ChatLimits:
    """The bounds that an engine's options ask for, or the usual ones."""
    if not is_language_model:
        return NO_LIMITS
    budget = getattr(options, "context_tokens", None)
    return ChatLimits(context_tokens=budget or CONTEXT_TOKENS)


def max_tokens_of(options: EngineOptions) -> int:
    """How long a spoken reply may be: what somebody asked of the engine, or the usual."""
    asked = "max_tokens" in options.model_fields_set
    return (getattr(options, "max_tokens", None) if asked else None) or SPOKEN_MAX_TOKENS


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands between a model and a call."""

    limits: ChatLimits = ChatLimits()
    refusals: Refusals | None = None

    def asked(self, messages: Sequence[Message]) -> list[Message]:
        """The messages as the model may see them."""
        return fitted(cleaned(messages, self.limits), self.limits.context_tokens)

    def reply(
        self, deltas: AsyncIterator[Delta], tools: Sequence[ToolSchema], max_tokens: int | None
    ) -> AsyncGenerator[Delta]:
        """The reply as the caller may hear it. Closing it closes ``deltas``."""
        spoken = spoken_deltas(bounded(deltas, max_tokens), tools)
        return self.refusals.applied(spoken) if self.refusals else spoken


def without_control_tokens(text: str) -> str:
    """``text`` without what a model takes for its own marks, and without what nobody sees."""
    text = _INVISIBLE.sub("", text)
    before = ""
    while before != text:
        # What is taken out of the middle may join its two sides to another token.
        before, text = text, _CONTROL_TOKEN.sub(" ", text)
    return text


def shortened(text: str, longest: int) -> str:
    """At most ``longest`` characters, and a word that says so; 0 is no limit."""
    if not longest or len(text) <= longest:
        return text
    return text[:longest].rstrip() + SHORTENED


def cleaned(messages: Sequence[Message], limits: ChatLimits) -> list[Message]:
    """What callers and tools said, without control tokens and not too long."""
    longest = {"user": limits.user_characters, "tool": limits.tool_characters}
    return [
        _cleaned(message, longest[message["role"]]) if message.get("role") in longest else message
        for message in messages
    ]


def estimated_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    """About how many tokens the messages are."""
    return sum(_TOKENS_PER_MESSAGE + _size(message) for message in messages)


def fitted(messages: Sequence[Message], budget: int) -> list[Message]:
    """The newest turns that fit; instructions at the beginning and the last turn always stay."""
    kept = list(messages)
    head = head_length(kept)
    if not budget or estimated_tokens(kept[head:]) <= room_for_turns(kept, budget):
        return kept
    starts = [at for at, message in enumerate(kept) if message.get("role") == "user" and at > head]
    room = room_for_turns([*kept[:head], LEFT_OUT], budget) - estimated_tokens([LEFT_OUT])
    for start in starts:
        if estimated_tokens(kept[start:]) <= room or start == starts[-1]:
            log.info("context_shortened", left_out=start - head)
            return [*kept[:head], LEFT_OUT, *kept[start:]]
    return kept


def room_for_turns(messages: Sequence[Mapping[str, Any]], budget: int) -> int:
    """What the instructions leave of the budget; at least half, however long they are: who
    writes a long text has a model with room for it."""
    return max(budget - estimated_tokens(messages[: head_length(messages)]), budget // 2)


def head_length(messages: Sequence[Mapping[str, Any]]) -> int:
    """How many messages at the beginning are instructions."""
    head = 0
    while head < len(messages) and messages[head].get("role") == "system":
        head += 1
    return head


async def bounded(deltas: AsyncIterator[Delta], max_tokens: int | None) -> AsyncGenerator[Delta]:
    """The reply, ended by force where an engine doesn't keep to ``max_tokens``."""
    most = (max_tokens or SPOKEN_MAX_TOKENS) * _MOST_CHARACTERS_PER_TOKEN
    characters = 0
    source = cast(AsyncGenerator[Delta], deltas)
    if not hasattr(source, "aclose"):
        source = _generator(deltas)
    async with aclosing(source):
        async for delta in source:
            yield delta
            characters += len(delta.text)
            if characters > most:
                log.warning("reply_cut", characters=characters)
                yield Delta(finish="length")
                return


async def _generator(deltas: AsyncIterator[Delta]) -> AsyncGenerator[Delta]:
    async for delta in deltas:
        yield delta


def _cleaned(message: Message, longest: int) -> Message:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": shortened(without_control_tokens(content), longest)}
    if isinstance(content, list):
        parts = [_cleaned_part(part, longest) for part in cast(list[Any], content)]
        return {**message, "content": parts}
    return message


def _cleaned_part(part: Any, longest: int) -> Any:
    if not isinstance(part, dict):
        return part
    fields = cast(Message, part)
    text = fields.get("text")
    if not isinstance(text, str):
        return fields
    return {**fields, "text": shortened(without_control_tokens(text), longest)}


def _size(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    text = content if isinstance(content, str) else str(content or "")
    letters = len(text) + sum(len(str(call)) for call in message.get("tool_calls") or ())
    # Scripts without an alphabet take about a token for each character.
    wide = sum(character > "\u2e7f" for character in text)
    return round((letters - wide) / _CHARACTERS_PER_TOKEN) + wide
