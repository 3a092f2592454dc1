"""What a response asks of a model, read from its body and from the response before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parley.api.openai.chat_request import (
    NO_PARAMETERS,
    ChatRequest,
    call_message,
    read_choice,
    read_format,
    read_tools,
)
from parley.api.openai.responses_body import FlatTool, Item, ItemPart, ResponseBody
from parley.core.errors import InvalidValue, MissingParameter, UnsupportedValue
from parley.engines.spec import ChatOptions, Message, ToolSchema

_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_TEXTS = ("input_text", "output_text", "text")


def read_response(body: ResponseBody, earlier: Sequence[Message], tenant: str) -> ChatRequest:
    """The request; ``earlier`` is the conversation that it carries on, without instructions.

    Raises ``InvalidValue`` or ``UnsupportedValue`` for what makes no sense or can't be done.
    """
    for name in ("conversation", "background"):
        if getattr(body, name):
            raise UnsupportedValue(
                f"{name} is not to be had here.",
                hint="Carry on with previous_response_id.",
                param=name,
            )
    tools = read_tools([_tool(tool) for tool in body.tools or ()])
    choice, tools = read_choice(body.tool_choice, tools)
    options = ChatOptions(
        max_tokens=body.max_output_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        response_format=read_format(_format(body)),
        tool_choice=choice,
        tenant=tenant,
    )
    messages = [*earlier, *read_input(body)]
    if body.instructions:
        messages.insert(0, {"role": "system", "content": body.instructions})
    return ChatRequest(body.model, messages, tools, options, body.parallel_tool_calls is False)


def read_input(body: ResponseBody) -> list[Message]:
    """What this request adds to the conversation."""
    if isinstance(body.input, str):
        return [{"role": "user", "content": body.input}]
    messages: list[Message] = []
    for number, item in enumerate(body.input):
        _add(messages, f"input.{number}", item)
    if not messages:
        raise MissingParameter("input is missing.", param="input")
    return messages


def without_instructions(asked: ChatRequest, body: ResponseBody) -> list[Message]:
    """The conversation to carry on from: instructions hold for one response only."""
    return asked.messages[1:] if body.instructions else asked.messages


def _tool(tool: FlatTool) -> ToolSchema:
    if tool.type != "function" or not tool.name:
        raise UnsupportedValue(
            f"tools: a tool of type {tool.type!r} can't be used here.",
            hint="Send tools of type function, each with its name.",
            param="tools",
        )
    return ToolSchema(tool.name, tool.description or "", tool.parameters or NO_PARAMETERS)


def _format(body: ResponseBody) -> Mapping[str, Any] | None:
    """Chat completions wrap what is flat here."""
    wanted = body.text.format if body.text else None
    if wanted is None or wanted.get("type") != "json_schema":
        return wanted
    inner = {key: value for key, value in wanted.items() if key != "type"}
    return {"type": "json_schema", "json_schema": inner}


def _add(messages: list[Message], where: str, item: Item) -> None:
    match item.type:
        case "message":
            messages.append(_message(where, item))
        case "function_call":
            _add_call(messages, where, item)
        case "function_call_output":
            if not item.call_id:
                raise MissingParameter(f"{where}.call_id is missing.", param=f"{where}.call_id")
            content = _content(f"{where}.output", item.output)
            told = {"role": "tool", "tool_call_id": item.call_id, "content": content}
            messages.append(told)
        case "reasoning":
            # Nobody here reasons on what another has thought.
            return
        case _:
            raise UnsupportedValue(
                f"{where}: an item of type {item.type!r} can't be read here.",
                hint="Send messages, function_call and function_call_output.",
                param=where,
            )


def _message(where: str, item: Item) -> Message:
    role = _ROLES.get(item.role or "")
    if role is None:
        raise InvalidValue(
            f"{where}.role: it is user, assistant, system or developer.", param=f"{where}.role"
        )
    return {"role": role, "content": _content(f"{where}.content", item.content)}


def _add_call(messages: list[Message], where: str, item: Item) -> None:
    """Calls that came together are one message, with the words that were said before them."""
    if not (item.call_id and item.name):
        raise MissingParameter(f"{where}: a call needs call_id and name.", param=where)
    call = (item.call_id, item.name, item.arguments or "{}")
    last = messages[-1] if messages else {}
    if last.get("role") == "assistant" and isinstance(last["content"], str):
        whole = call_message([call], last["content"])
        whole["tool_calls"] = [*last.get("tool_calls", ()), *whole["tool_calls"]]
        messages[-1] = whole
    else:
        messages.append(call_message([call]))


def _content(where: str, content: str | list[ItemPart] | None) -> str | list[dict[str, Any]]:
    if content is None or isinstance(content, str):
        return content or ""
    parts = [_part(f"{where}.{number}", part) for number, part in enumerate(content)]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _part(where: str, part: ItemPart) -> dict[str, Any]:
    if part.type in _TEXTS and part.text is not None:
        return {"type": "text", "text": part.text}
    if part.type == "refusal":
        return {"type": "text", "text": part.refusal or ""}
    if part.type == "input_image" and part.image_url:
        return {"type": "image_url", "image_url": {"url": part.image_url}}
    raise UnsupportedValue(
        f"{where}: a part of type {part.type!r} can't be read here.",
        hint="Send input_text or input_image with image_url.",
        param=where,
    )
