"""What a chat completion asks of a model, read from its body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from parley.api.openai.chat_body import ChatBody, ChatMessage, Part, ToolEntry
from parley.core.errors import InvalidValue, UnsupportedValue
from parley.engines.spec import ChatOptions, Message, ToolSchema

NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}
PLAIN_CHOICES = ("auto", "none", "required")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a model is asked. ``one_tool``: it may want no more than one tool at a time."""

    model: str
    messages: list[Message]
    tools: list[ToolSchema] = field(default_factory=list[ToolSchema])
    options: ChatOptions = field(default_factory=ChatOptions)
    one_tool: bool = False


def read_chat(body: ChatBody, tenant: str) -> ChatRequest:
    """Raises ``InvalidValue`` or ``UnsupportedValue`` for what makes no sense or can't be done."""
    if body.n not in (None, 1):
        raise UnsupportedValue("n: one reply is given to a request.", hint="Ask again.", param="n")
    if body.functions:
        raise UnsupportedValue("functions is the old way.", hint="Send tools.", param="functions")
    tools = read_tools([_function(tool) for tool in body.tools or ()])
    choice, tools = read_choice(body.tool_choice, tools)
    options = ChatOptions(
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        stop=read_stop(body.stop),
        seed=body.seed,
        response_format=read_format(body.response_format),
        tool_choice=choice,
        tenant=tenant,
    )
    messages = [_message(number, each) for number, each in enumerate(body.messages)]
    _require_asked(messages)
    return ChatRequest(body.model, messages, tools, options, body.parallel_tool_calls is False)


def read_tools(tools: Sequence[ToolSchema]) -> list[ToolSchema]:
    """The tools, each name once."""
    seen: set[str] = set()
    for tool in tools:
        if tool.name in seen:
            raise InvalidValue(f"tools: {tool.name} is there twice.", param="tools")
        seen.add(tool.name)
    return list(tools)


def read_choice(choice: object, tools: list[ToolSchema]) -> tuple[str, list[ToolSchema]]:
    """The engines' ``tool_choice``, and the tools that may be used.

    OpenAI's forms: a word; one function; or the allowed ones with a word.
    """
    if choice is None:
        return "", tools
    if isinstance(choice, str):
        return _word(choice, tools), tools
    wanted = cast("Mapping[str, Any]", choice)
    if wanted.get("type") == "allowed_tools":
        inner = cast("Mapping[str, Any]", wanted.get("allowed_tools") or wanted)
        listed = cast("list[Any]", inner.get("tools") or [])
        names = {_name_in(each) for each in listed}
        allowed = [tool for tool in tools if tool.name in names]
        return _word(str(inner.get("mode") or "auto"), allowed), allowed
    if wanted.get("type") == "function":
        name = _name_in(wanted)
        if all(tool.name != name for tool in tools):
            raise InvalidValue(f"tool_choice: no tool {name!r} is in tools.", param="tool_choice")
        return name, tools
    raise UnsupportedValue(
        f"tool_choice: {wanted.get('type')!r} can't be chosen.",
        hint="Use auto, none, required, a function or allowed_tools.",
        param="tool_choice",
    )


def read_format(wanted: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """None for plain text."""
    if wanted is None or wanted.get("type") == "text":
        return None
    if wanted.get("type") == "json_object":
        return {"type": "json_object"}
    described: Any = wanted.get("json_schema")
    if wanted.get("type") == "json_schema" and isinstance(described, dict):
        return wanted
    raise InvalidValue(
        "response_format: it is text, json_object, or json_schema with a json_schema.",
        param="response_format",
    )


def read_stop(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    return tuple(each for each in stops if each)


def call_message(calls: Sequence[tuple[str, str, str]], content: str = "") -> Message:
    """The assistant's message that asks for tools: id, name and arguments of each."""
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [
            {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id, name, arguments in calls
        ],
    }


def _function(tool: ToolEntry) -> ToolSchema:
    if tool.type != "function" or tool.function is None:
        raise UnsupportedValue(
            f"tools: a tool of type {tool.type!r} can't be used here.",
            hint="Send tools of type function.",
            param="tools",
        )
    function = tool.function
    return ToolSchema(
        function.name, function.description or "", function.parameters or NO_PARAMETERS
    )


def _word(choice: str, tools: Sequence[ToolSchema]) -> str:
    if choice not in PLAIN_CHOICES:
        raise InvalidValue(
            f"tool_choice: {choice!r} is none of {', '.join(PLAIN_CHOICES)}.", param="tool_choice"
        )
    if choice == "required" and not tools:
        raise InvalidValue("tool_choice: there are no tools to use.", param="tool_choice")
    return choice if tools else ""


def _name_in(choice: Any) -> str:
    """``{type, function: {name}}`` in chat completions, ``{type, name}`` in responses."""
    if not isinstance(choice, dict):
        return ""
    fields = cast("Mapping[str, Any]", choice)
    inner = cast("Mapping[str, Any]", fields.get("function") or fields)
    return str(inner.get("name") or "")


def _message(number: int, given: ChatMessage) -> Message:
    # Models and scripts know one kind of instructions.
    role = {"developer": "system"}.get(given.role, given.role)
    if role == "function":
        where = f"messages.{number}.role"
        raise UnsupportedValue(f"{where}: function is the old way.", hint="Send tool.", param=where)
    content = _content(number, given)
    if given.tool_calls and role == "assistant":
        calls = [(c.id, c.function.name, c.function.arguments) for c in given.tool_calls]
        return call_message(calls, content if isinstance(content, str) else "")
    message: Message = {"role": role, "content": content}
    if given.audio and role == "assistant" and not content:
        message["audio"] = {"id": given.audio.id}
    if role == "tool":
        message["tool_call_id"] = given.tool_call_id or ""
    return message


def _require_asked(messages: Sequence[Message]) -> None:
    """No model knows what to say to a result that nobody asked for."""
    asked: set[str] = set()
    for number, message in enumerate(messages):
        asked.update(call["id"] for call in message.get("tool_calls", ()))
        if message["role"] == "tool" and message["tool_call_id"] not in asked:
            where = f"messages.{number}.tool_call_id"
            raise InvalidValue(
                f"{where}: no message before this one has a tool call "
                f"{message['tool_call_id'][:100]!r}.",
                param=where,
            )


def _content(number: int, given: ChatMessage) -> str | list[dict[str, Any]]:
    content = given.content
    if content is None:
        return given.refusal or ""
    if isinstance(content, str):
        return content
    parts = [_part(f"messages.{number}.content.{at}", part) for at, part in enumerate(content)]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _part(where: str, part: Part) -> dict[str, Any]:
    if part.type in ("text", "input_text", "output_text") and part.text is not None:
        return {"type": "text", "text": part.text}
    if part.type == "refusal":
        return {"type": "text", "text": part.refusal or ""}
    if part.type == "image_url" and part.image_url:
        return {"type": "image_url", "image_url": part.image_url}
    if part.type == "input_audio" and part.input_audio:
        return {"type": "input_audio", "input_audio": part.input_audio.model_dump()}
    raise UnsupportedValue(
        f"{where}: a part of type {part.type!r} can't be read here.",
        hint="Send text, image_url or input_audio, each with what belongs to it.",
        param=where,
    )
