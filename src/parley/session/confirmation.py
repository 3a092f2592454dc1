"""Lets what can't be taken back run only after its details were said back and the caller answered.

There is no memory in here: what was asked and answered stands in the conversation itself, in a call
as in writing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from parley.engines.spec import Message
from parley.session.plain_no import is_no
from parley.tools.spec import Tool

UNCONFIRMED = "needs_confirmation"
_UNFINISHED = ("IN_PROGRESS", "CANCELLED")

_HOW_IT_CONFIRMS = (
    "Use it as soon as you know the details, without asking whether they are right: nothing is "
    "done then, and you are told to ask. Use it again after the caller's yes."
)

Verdict = Literal["", "unconfirmed", "declined"]
"""Why a tool must not run yet; "" is that it may."""


def verdict_on(
    tool: str, tool_call_id: str, arguments: Mapping[str, Any], messages: Sequence[Message]
) -> Verdict:
    """Whether the caller was asked about this very thing, and what came of it.

    The same arguments must have been refused before, then the agent must have said something that
    was heard, and the caller something after that. One answer is good for one use.
    """
    asked_at = _asked_at(tool, tool_call_id, arguments, messages)
    if asked_at is None:
        return "unconfirmed"
    since = messages[asked_at + 1 :]
    answer = _answer_in(since)
    if not answer:
        return "unconfirmed"
    # A yes to what was asked later takes no earlier no back.
    pieces = (answer, _answer_in(_until_next_question(since)))
    is_declined = any(is_no(" ".join(each)) or is_no(each[-1]) for each in pieces)
    return "declined" if is_declined else ""


def question_for(
    tool: str, tool_call_id: str, arguments: Mapping[str, Any], messages: Sequence[Message]
) -> str:
    """The request that made the agent ask about this very thing; "" if there is none. Those who
    want the same in one breath can't see each other here: whoever runs them tells them apart by
    it."""
    asked_at = _asked_at(tool, tool_call_id, arguments, messages)
    return "" if asked_at is None else str(messages[asked_at].get("tool_call_id"))


def described(tool: Tool) -> str:
    """What the model reads of a tool. One that asks by itself would have the caller asked twice."""
    return f"{tool.description} {_HOW_IT_CONFIRMS}" if tool.confirms else tool.description


def asks_first(tool: str) -> dict[str, str]:
    """What the model gets in the place of a result."""
    return {
        "status": UNCONFIRMED,
        "message": "Nothing has been done yet. Say these details back to the caller in a short "
        f"sentence and ask whether they are right. After a yes use {tool} again with exactly the "
        "same arguments.",
    }


def was_declined(tool: str) -> dict[str, str]:
    """What the model gets when the caller's answer was no."""
    return {
        "status": UNCONFIRMED,
        "message": "The caller said no, so nothing has been done. Ask what should be different, if "
        f"that wasn't said, and use {tool} only with what the caller then agrees to.",
    }


def _asked_at(
    tool: str, tool_call_id: str, arguments: Mapping[str, Any], messages: Sequence[Message]
) -> int | None:
    """Where the question about these arguments stands that has not been used up."""
    wanted = _plain(arguments)
    same: set[str] = set()
    asked_at: int | None = None
    for at, message in enumerate(messages):
        for id, name, given in _calls_in(message):
            if name == tool and id != tool_call_id and _plain(given) == wanted:
                same.add(id)
        if message.get("role") == "tool" and message.get("tool_call_id") in same:
            outcome = _outcome(str(message.get("content")))
            if outcome == "asked":
                asked_at = at
            elif outcome == "used":
                asked_at = None
    return asked_at


def _answer_in(messages: Sequence[Message]) -> list[str]:
    """What the caller said last, once something was said back. It may come in pieces: "No."
    "Tuesday." is one answer."""
    was_said_back, is_over, answer = False, True, list[str]()
    for message in messages:
        role, text = message.get("role"), _text_of(message)
        was_said_back = was_said_back or (role == "assistant" and bool(text))
        if role == "user" and text and was_said_back:
            answer = [text] if is_over else [*answer, text]
            is_over = False
        elif role != "user" and text:
            is_over = True
    return answer


def _until_next_question(messages: Sequence[Message]) -> Sequence[Message]:
    """As far as what is said is about the question before them."""
    for at, message in enumerate(messages):
        is_question = message.get("role") == "tool" and _outcome(_text_of(message)) == "asked"
        if is_question and _answer_in(messages[:at]):
            return messages[:at]
    return messages


def _outcome(content: str) -> Literal["asked", "used", "nothing"]:
    if content.startswith(_UNFINISHED[0]):
        # It may well be doing just this at the moment.
        return "used"
    if content.startswith(_UNFINISHED[1]):
        return "nothing"
    try:
        result = json.loads(content)
    except (ValueError, RecursionError):
        return "used"
    if isinstance(result, dict):
        fields = cast("dict[str, Any]", result)
        if fields.get("status") == UNCONFIRMED:
            return "asked"
        if fields.get("error"):
            return "nothing"
    return "used"


def _calls_in(message: Message) -> Iterator[tuple[str, str, object]]:
    for call in cast("Sequence[Mapping[str, Any]]", message.get("tool_calls") or ()):
        function = cast("Mapping[str, Any]", call.get("function") or {})
        try:
            given: object = json.loads(str(function.get("arguments") or "{}"))
        except (ValueError, RecursionError):
            continue
        yield str(call.get("id")), str(function.get("name")), given


def _plain(value: object) -> object:
    """Arguments without what makes no difference to a caller: case, spaces, what is left empty."""
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, object]", value).items()
        kept = {key: _plain(each) for key, each in fields if each not in (None, "")}
        return json.dumps(kept, sort_keys=True, default=str)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(each) for each in cast("Sequence[object]", value)]
    return " ".join(value.casefold().split()) if isinstance(value, str) else value


def _text_of(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content.strip()
    parts = cast("Sequence[object]", content if isinstance(content, list) else ())
    texts = [
        str(cast("Mapping[str, Any]", part).get("text") or "")
        for part in parts
        if isinstance(part, Mapping)
    ]
    return " ".join(texts).strip()
