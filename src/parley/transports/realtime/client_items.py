"""Items that clients write: checked, and as the messages that a model reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import Field, TypeAdapter, ValidationError

from parley.engines.spec import Message
from parley.transports.realtime.session_form import Form, fault_of
from parley.transports.realtime.wire import Fault

Item = dict[str, Any]
MOST_CHARACTERS = 1_000_000

Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]


class InputText(Form):
    type: Literal["input_text"]
    text: Text


class InputAudio(Form):
    type: Literal["input_audio"]
    audio: str | None = None
    transcript: Text | None = None


class OutputText(Form):
    type: Literal["output_text"]
    text: Text


class OutputAudio(Form):
    type: Literal["output_audio"]
    transcript: Text = ""


class _Named(Form):
    id: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class UserMessage(_Named):
    type: Literal["message"]
    role: Literal["user"]
    content: Annotated[
        tuple[Annotated[InputText | InputAudio, Field(discriminator="type")], ...],
        Field(min_length=1),
    ]


class SystemMessage(_Named):
    type: Literal["message"]
    role: Literal["system"]
    content: Annotated[tuple[InputText, ...], Field(min_length=1)]


class AssistantMessage(_Named):
    type: Literal["message"]
    role: Literal["assistant"]
    content: Annotated[
        tuple[Annotated[OutputText | OutputAudio, Field(discriminator="type")], ...],
        Field(min_length=1),
    ]


class FunctionCall(_Named):
    type: Literal["function_call"]
    call_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=64)]
    arguments: Text


class FunctionOutput(_Named):
    type: Literal["function_call_output"]
    call_id: Annotated[str, Field(min_length=1, max_length=200)]
    output: Text


AnyItem = UserMessage | SystemMessage | AssistantMessage | FunctionCall | FunctionOutput
_MESSAGES = TypeAdapter[UserMessage | SystemMessage | AssistantMessage](
    Annotated[UserMessage | SystemMessage | AssistantMessage, Field(discriminator="role")]
)
_UNSUPPORTED = ("mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response")


def read_item(fields: Mapping[str, Any], within: str = "item") -> AnyItem:
    """Check an item. Raises ``Fault`` with the place of the mistake."""
    kind = fields.get("type")
    if kind in _UNSUPPORTED:
        raise Fault(
            f"Items of type {kind} are not taken from clients here: an agent's YAML names its "
            "MCP servers.",
            code="unsupported_value",
            param=f"{within}.type",
        )
    _refuse_images(fields, within)
    try:
        if kind == "function_call":
            return FunctionCall.model_validate(fields)
        if kind == "function_call_output":
            return FunctionOutput.model_validate(fields)
        if kind == "message":
            return _MESSAGES.validate_python(dict(fields))
    except ValidationError as error:
        raise fault_of(error, within, fields) from error
    raise Fault(
        "The type of an item is message, function_call or function_call_output.",
        param=f"{within}.type",
    )


def _refuse_images(fields: Mapping[str, Any], within: str) -> None:
    content = fields.get("content")
    for part in cast(list[Any], content) if isinstance(content, list) else ():
        if isinstance(part, dict) and cast(Item, part).get("type") == "input_image":
            raise Fault(
                "No engine here looks at pictures.",
                code="unsupported_value",
                param=f"{within}.content",
            )


def shown(item: AnyItem, item_id: str) -> Item:
    """The item as the server tells of it; sound is left out, as it is large."""
    base: Item = {"id": item_id, "object": "realtime.item", "type": item.type}
    if isinstance(item, FunctionCall):
        base |= {"call_id": item.call_id or "", "name": item.name, "arguments": item.arguments}
    elif isinstance(item, FunctionOutput):
        base |= {"call_id": item.call_id, "output": item.output}
    else:
        content = [part.model_dump(exclude={"audio"}, exclude_none=True) for part in item.content]
        base |= {"role": item.role, "content": content}
    return base | {"status": "completed"}


def message_of(item: AnyItem, heard: Mapping[int, str]) -> Message:
    """The item as models read it; ``heard`` is what was said in its sounds, by position."""
    if isinstance(item, FunctionOutput):
        return {"role": "tool", "tool_call_id": item.call_id, "content": item.output}
    if isinstance(item, FunctionCall):
        function = {"name": item.name, "arguments": item.arguments}
        call = {"id": item.call_id, "type": "function", "function": function}
        return {"role": "assistant", "content": "", "tool_calls": [call]}
    said = [_said(part, heard.get(at, "")) for at, part in enumerate(item.content)]
    return {"role": item.role, "content": " ".join(text for text in said if text)}


def message_of_shown(item: Item) -> Message:
    """The same from an item as the server has told of it."""
    return message_of(read_item(item), {})


def _said(part: InputText | InputAudio | OutputText | OutputAudio, heard: str) -> str:
    if isinstance(part, InputText | OutputText):
        return part.text
    return part.transcript or heard


def arguments_of(item: FunctionCall) -> dict[str, Any]:
    """A function call's arguments. Raises ``Fault``."""
    try:
        found = json.loads(item.arguments or "{}")
    except ValueError as error:
        raise Fault(f"arguments is not JSON: {error}.", param="item.arguments") from error
    if not isinstance(found, dict):
        raise Fault("arguments is a JSON object.", param="item.arguments")
    return cast(dict[str, Any], found)
