"""Items that the client puts into the conversation, changes and takes out; and replies to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from parley.core.audio import Audio
from parley.engines.spec import Message, ToolRequest
from parley.session.conversation import Conversation
from parley.session.items import new_item_id
from parley.session.reply import ReplyWish
from parley.transports.realtime.client_events import (
    CreateItem,
    DeleteItem,
    ResponseWish,
    RetrieveItem,
    TruncateItem,
)
from parley.transports.realtime.client_items import (
    AnyItem,
    FunctionCall,
    FunctionOutput,
    InputAudio,
    UserMessage,
    arguments_of,
    message_of,
    message_of_shown,
    read_item,
    shown,
)
from parley.transports.realtime.record import Record
from parley.transports.realtime.response import ResponseTerms, Send
from parley.transports.realtime.session_config import MOST_TOKENS, SessionConfig, choice_of
from parley.transports.realtime.session_form import Modality, no_prompt
from parley.transports.realtime.sound import Decoder, in_turns, unpacked
from parley.transports.realtime.wire import Fault, new_id, server_event

HEARING_RATE_HZ = 16_000

ItemEvent = CreateItem | RetrieveItem | DeleteItem | TruncateItem


class Itemising:
    """Keeps the client's record and the model's conversation alike."""

    def __init__(
        self, conversation: Conversation, record: Record, send: Send, config: SessionConfig
    ) -> None:
        self._conversation = conversation
        self._record = record
        self._send = send
        self._config = config

    async def obey(self, event: ItemEvent) -> None:
        """Raises ``Fault``."""
        match event:
            case CreateItem():
                await self._create(event)
            case RetrieveItem():
                item = self._record.get(event.item_id, code="item_retrieve_invalid_item_id")
                self._send(server_event("conversation.item.retrieved", item=item))
            case DeleteItem():
                self._delete(event.item_id)
            case TruncateItem():
                self._truncate(event)

    async def _create(self, event: CreateItem) -> None:
        item = read_item(event.item)
        if isinstance(item, FunctionCall) and not item.call_id:
            item = item.model_copy(update={"call_id": new_id("call")})
        if isinstance(item, FunctionCall):
            arguments_of(item)
        if isinstance(item, FunctionOutput):
            self._require_request(item.call_id)
        item_id = item.id or new_item_id()
        if item_id in self._record:
            raise Fault(f"There is an item {item_id} already.", param="item.id")
        after = event.previous_item_id
        heard = await self._heard(item)
        told = shown(item, item_id)
        for at, text in heard.items():
            told["content"][at]["transcript"] = text
        self._record.require_room(told)
        before = self._record.add(told, after)
        self._remember(item_id, item, heard, after or "")
        for kind in ("added", "done"):
            name = f"conversation.item.{kind}"
            self._send(server_event(name, item=told, previous_item_id=before))

    def _delete(self, item_id: str) -> None:
        self._record.delete(item_id)
        self._conversation.items.delete(item_id)
        self._send(server_event("conversation.item.deleted", item_id=item_id))

    def _truncate(self, event: TruncateItem) -> None:
        """Of the item's sound no more than ``audio_end_ms`` was heard."""
        spoken = self._record.spoken(event.item_id, event.content_index)
        # Clients reckon with clocks of their own: a little too much is as good as all of it.
        end_ms = min(event.audio_end_ms, round(spoken.length_ms))
        heard = spoken.cut(end_ms)
        content = [{"type": "output_audio", "transcript": heard}]
        self._record.get(event.item_id)["content"] = content
        self._conversation.items.truncate(event.item_id, heard)
        self._send(
            server_event(
                "conversation.item.truncated",
                item_id=event.item_id,
                content_index=event.content_index,
                audio_end_ms=end_ms,
            )
        )

    # ── replies ──────────────────────────────────────────────────────────────────────────

    def wish_of(self, wish: ResponseWish | None) -> ReplyWish:
        """What ``response.create`` asks of the model. Raises ``Fault``."""
        usual = self._config.usual_reply()
        if wish is None:
            return usual
        if wish.prompt is not None:
            raise no_prompt("response.prompt")
        tools = None if wish.tools is None else tuple(tool.schema_of() for tool in wish.tools)
        spoken = _is_spoken(wish.output_modalities)
        return ReplyWish(
            instructions=wish.instructions,
            messages=None if wish.input is None else self._messages(wish.input),
            tools=tools,
            tool_choice=None if wish.tool_choice is None else choice_of(wish.tool_choice),
            max_tokens=wish.max_output_tokens,
            text_only=None if spoken is None else not spoken,
        ).over(usual)

    def terms_of(self, wish: ResponseWish, usual: ResponseTerms) -> ResponseTerms:
        """How ``response.created`` shows what was asked for."""
        output, spoken = wish.audio.output, _is_spoken(wish.output_modalities)
        tokens = wish.max_output_tokens
        shown_tokens = "inf" if tokens == MOST_TOKENS else tokens
        is_apart = wish.conversation == "none"
        return replace(
            usual,
            is_spoken=usual.is_spoken if spoken is None else spoken,
            format=output.format.shown() if output.format else usual.format,
            voice=output.voice or usual.voice,
            max_output_tokens=usual.max_output_tokens if tokens is None else shown_tokens or "inf",
            metadata=wish.metadata,
            conversation_id=None if is_apart else usual.conversation_id,
        )

    def _messages(self, given: Sequence[Mapping[str, Any]]) -> list[Message]:
        found: list[Message] = []
        for at, fields in enumerate(given):
            within = f"response.input.{at}"
            if fields.get("type") == "item_reference":
                found.append(message_of_shown(self._record.get(str(fields.get("id")), within)))
                continue
            found.append(message_of(read_item(fields, within), {}))
        return found

    # ── keeping ──────────────────────────────────────────────────────────────────────────

    def _require_request(self, call_id: str) -> None:
        asked = {item.get("call_id") for item in self._record.items() if "arguments" in item}
        if call_id not in asked:
            raise Fault(
                f"No function call has the call_id {call_id!r}.",
                code="invalid_tool_call_id",
                param="item.call_id",
            )

    async def _heard(self, item: AnyItem) -> dict[int, str]:
        """What is said in the item's sounds, by their place in it."""
        if not isinstance(item, UserMessage):
            return {}
        heard: dict[int, str] = {}
        for at, part in enumerate(item.content):
            if isinstance(part, InputAudio) and part.audio and not part.transcript:
                sound = await unpacked(part.audio, "item.content")
                decoder = Decoder(self._config.form.audio.input.format.type, HEARING_RATE_HZ)
                pcm = [decoder.push(piece) async for piece in in_turns(sound)]
                whole = Audio(b"".join([*pcm, decoder.flush()]), HEARING_RATE_HZ)
                heard[at] = await self._conversation.hear(whole)
        return heard

    def _remember(self, item_id: str, item: AnyItem, heard: dict[int, str], after: str) -> None:
        items = self._conversation.items
        # The model may have been given a summary of what came before.
        after = after if after in ("root",) or after in items else ""
        if isinstance(item, FunctionCall):
            request = ToolRequest(item.call_id or "", item.name, arguments_of(item))
            items.request_tools([item_id], [request], after)
        else:
            items.insert(item_id, message_of(item, heard), after)


def _is_spoken(modalities: tuple[Modality, ...] | None) -> bool | None:
    if modalities is None:
        return None
    if len(modalities) != 1:
        raise Fault(
            'output_modalities is ["audio"] or ["text"].', param="response.output_modalities"
        )
    return modalities == ("audio",)
