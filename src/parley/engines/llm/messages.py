"""Makes a conversation safe for servers that are strict, small, or both.

Callers' contexts hold what Pipecat, clients and interruptions left in them. Here every tool
call gets exactly one result right behind it, texts in parts become texts, and roles become those
that every server knows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from parley.engines.spec import Message, ToolSchema

NO_RESULT = '{"error": "the tool gave no result"}'


def plain_messages(
    messages: Sequence[Message], *, keeps_parts: bool = False, smooth: bool = True
) -> list[Message]:
    """The messages as chat servers take them.

    With ``keeps_parts`` pictures and sounds stay; else only text does. ``smooth`` is for chat
    templates of small models, many of which refuse a system message that isn't the first or two
    messages of one role in a row: later ones become the user's, neighbours become one.
    """
    paired = _paired([_plain(each, keeps_parts) for each in messages])
    spoken = [each for each in paired if each["content"] or "tool_calls" in each]
    return _smoothed(spoken) if smooth else spoken


def tool_list(tools: Sequence[ToolSchema]) -> list[dict[str, Any]]:
    """The tools in OpenAI's form."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
            },
        }
        for tool in tools
    ]


def in_words(messages: Sequence[Message], tools: Sequence[ToolSchema]) -> list[Message]:
    """The conversation for a server that knows no tools: they are explained to the model, and
    calls and results are told as text."""
    told: list[Message] = []
    for message in plain_messages(messages):
        if message["role"] == "tool":
            told.append({"role": "user", "content": f"The tool's result: {message['content']}"})
        elif "tool_calls" in message:
            calls = [_call_in_words(call) for call in message["tool_calls"]]
            content = "\n".join(filter(None, [message["content"], *calls]))
            told.append({"role": "assistant", "content": content})
        else:
            told.append(message)
    if tools:
        told.insert(0, {"role": "system", "content": _tools_in_words(tools)})
        told.sort(key=lambda each: each["role"] != "system")
    return _smoothed(told)


def _tools_in_words(tools: Sequence[ToolSchema]) -> str:
    lines = [
        json.dumps(
            {"name": t.name, "description": t.description, "parameters": dict(t.parameters)},
            ensure_ascii=False,
        )
        for t in tools
    ]
    return "\n".join(
        [
            "These tools are at your service, each described by a JSON schema:",
            *lines,
            "Only when one is needed, answer with nothing but this JSON: "
            '{"name": "the tool", "parameters": {"its": "arguments"}}',
        ]
    )


def _call_in_words(call: dict[str, Any]) -> str:
    function = call["function"]
    name = json.dumps(function["name"], ensure_ascii=False)
    return f'{{"name": {name}, "parameters": {function["arguments"] or "{}"}}}'


def _plain(message: Message, keeps_parts: bool) -> Message:
    role = str(message.get("role") or "user")
    role = {"developer": "system", "function": "tool"}.get(role, role)
    plain: Message = {"role": role, "content": _content(message.get("content"), keeps_parts)}
    if role == "tool":
        plain["tool_call_id"] = str(message.get("tool_call_id") or "")
    calls = message.get("tool_calls")
    if role == "assistant" and isinstance(calls, list) and calls:
        plain["tool_calls"] = [_plain_call(call) for call in cast("list[Any]", calls)]
    return plain


def _plain_call(call: Any) -> dict[str, Any]:
    function: dict[str, Any] = call.get("function") or {}
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments or {}, ensure_ascii=False)
    return {
        "id": str(call.get("id") or ""),
        "type": "function",
        "function": {"name": str(function.get("name") or ""), "arguments": arguments or "{}"},
    }


def _content(content: Any, keeps_parts: bool) -> str | list[Any]:
    if content is None:
        return ""
    if not isinstance(content, list):
        return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    parts = cast("list[Any]", content)
    texts = [text for part in parts if isinstance(text := _text(part), str)]
    if keeps_parts and len(texts) < len(parts):
        return parts
    return "\n".join(filter(None, texts))


def _text(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        fields = cast("dict[str, Any]", part)
        for key in ("text", "refusal", "transcript"):
            if isinstance(fields.get(key), str):
                return fields[key]
    return None


def _paired(messages: Sequence[Message]) -> list[Message]:
    """Puts each tool's result right behind its call; results of no call are left out."""
    paired: list[Message] = []
    waiting: dict[str, Message] = {}
    for message in messages:
        if message["role"] == "tool":
            _answer(waiting, message)
            continue
        paired.append(message)
        for number, call in enumerate(message.get("tool_calls", ())):
            call["id"] = call["id"] or f"call_{len(paired)}_{number}"
            result: Message = {"role": "tool", "tool_call_id": call["id"], "content": NO_RESULT}
            paired.append(result)
            waiting[call["id"]] = result
    return paired


def _answer(waiting: dict[str, Message], message: Message) -> None:
    """The latest result of a call counts: a slow tool reports that it works, then what it found."""
    call = message["tool_call_id"]
    if not call:
        call = next((key for key, each in waiting.items() if each["content"] == NO_RESULT), "")
    if call in waiting:
        waiting[call]["content"] = message["content"] or NO_RESULT


def _smoothed(messages: Sequence[Message]) -> list[Message]:
    smooth: list[Message] = []
    for message in messages:
        if message["role"] == "system" and any(each["role"] != "system" for each in smooth):
            message = {**message, "role": "user"}
        if smooth and _can_join(smooth[-1], message):
            content = f"{smooth[-1]['content']}\n{message['content']}"
            smooth[-1] = {**smooth[-1], "content": content}
        else:
            smooth.append(message)
    return smooth


def _can_join(first: Message, second: Message) -> bool:
    return (
        first["role"] == second["role"] != "tool"
        and isinstance(first["content"], str)
        and isinstance(second["content"], str)
        and "tool_calls" not in first
        and "tool_calls" not in second
    )
