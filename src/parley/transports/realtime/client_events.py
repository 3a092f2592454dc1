"""What clients may say: each event's form, and one place where it is checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, ValidationError

from parley.core.json_marks import JsonMarks
from parley.core.registry import did_you_mean
from parley.transports.realtime.session_form import (
    MOST_TOKENS,
    AudioFormat,
    Form,
    FunctionTool,
    Modality,
    ToolChoice,
    Voice,
    fault_of,
)
from parley.transports.realtime.sound import in_turns
from parley.transports.realtime.wire import Fault

ItemId = Annotated[str, Field(min_length=1, max_length=200)]
MOST_METADATA = 16
_SLICE = 1024 * 1024
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE_BYTES = re.compile(_SURROGATE.pattern.encode())


class ClientEvent(Form):
    event_id: str | None = Field(default=None, max_length=512)


class SessionUpdate(ClientEvent):
    session: dict[str, Any]


class AppendAudio(ClientEvent):
    audio: str


class CommitAudio(ClientEvent):
    pass


class ClearAudio(ClientEvent):
    pass


class ClearOutput(ClientEvent):
    pass


class CreateItem(ClientEvent):
    item: dict[str, Any]
    previous_item_id: str | None = None


class RetrieveItem(ClientEvent):
    item_id: ItemId


class DeleteItem(ClientEvent):
    item_id: ItemId


class TruncateItem(ClientEvent):
    item_id: ItemId
    content_index: int = Field(ge=0)
    audio_end_ms: int = Field(ge=0)


class SpokenOutput(Form):
    format: AudioFormat | None = None
    voice: Voice | None = None


class ResponseSound(Form):
    output: SpokenOutput = SpokenOutput()


def _tokens(value: object) -> object:
    return MOST_TOKENS if value == "inf" else value


class ResponseWish(Form):
    """``response`` of ``response.create``. What is None is as in the session."""

    instructions: str | None = None
    input: list[dict[str, Any]] | None = None
    conversation: Literal["auto", "none"] = "auto"
    output_modalities: tuple[Modality, ...] | None = None
    audio: ResponseSound = ResponseSound()
    tools: tuple[FunctionTool, ...] | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: Annotated[
        Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None, BeforeValidator(_tokens)
    ] = None
    metadata: (
        dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None
    ) = Field(default=None, max_length=MOST_METADATA)
    prompt: Any = None


class CreateResponse(ClientEvent):
    response: ResponseWish | None = None


class CancelResponse(ClientEvent):
    response_id: str | None = None


CLIENT_EVENTS: Mapping[str, type[ClientEvent]] = MappingProxyType(
    {
        "session.update": SessionUpdate,
        "input_audio_buffer.append": AppendAudio,
        "input_audio_buffer.commit": CommitAudio,
        "input_audio_buffer.clear": ClearAudio,
        "output_audio_buffer.clear": ClearOutput,
        "conversation.item.create": CreateItem,
        "conversation.item.retrieve": RetrieveItem,
        "conversation.item.delete": DeleteItem,
        "conversation.item.truncate": TruncateItem,
        "response.create": CreateResponse,
        "response.cancel": CancelResponse,
    }
)


async def read_object(text: str | bytes) -> dict[str, Any]:
    """The JSON object in a message. Raises ``Fault`` or ``TooLarge``."""
    marks = JsonMarks()
    async for piece in in_turns(_slices(text)):
        marks.add(piece)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Fault(f"The message isn't JSON: {error}.", code="invalid_json") from error
    if not isinstance(found, dict):
        raise Fault("The message is no JSON object.", code="invalid_json")
    fields = cast(dict[str, Any], found)
    if _may_hold_surrogates(text) and not _is_text(fields):
        raise Fault("The message holds half a character (a lone surrogate).", code="invalid_json")
    return fields


def _slices(text: str | bytes) -> Iterator[str | bytes]:
    return (text[at : at + _SLICE] for at in range(0, len(text), _SLICE))


def _may_hold_surrogates(text: str | bytes) -> bool:
    # Most messages are sound, and long: looking is quicker than writing them again.
    found = _SURROGATE.search(text) if isinstance(text, str) else _SURROGATE_BYTES.search(text)
    return found is not None


def _is_text(value: object) -> bool:
    """Whether everything in it can be sent on."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def read_event(fields: Mapping[str, Any]) -> ClientEvent:
    """The event. Raises ``Fault``."""
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise Fault("The event has no type.", code="missing_required_parameter", param="type")
    form = CLIENT_EVENTS.get(kind)
    if form is None:
        hint = did_you_mean(kind, CLIENT_EVENTS)
        raise Fault(f"There is no client event {kind[:100]!r}. {hint}".strip(), param="type")
    try:
        return form.model_validate(fields)
    except ValidationError as error:
        raise fault_of(error, "", fields) from error
