"""One response as the client follows it, event by event, from created to done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from parley.engines.spec import ToolRequest, Usage
from parley.session.items import new_item_id
from parley.session.reply import HandedBack
from parley.session.toolbelt import as_call
from parley.transports.realtime.client_items import Item
from parley.transports.realtime.record import Heard, Record
from parley.transports.realtime.sound import Encoder, bytes_per_ms, packed
from parley.transports.realtime.wire import ServerEvent, new_id, server_event

Send = Callable[[ServerEvent], None]
Status = Literal["completed", "cancelled", "failed", "incomplete"]


@dataclass(frozen=True)
class ResponseTerms:
    """What a response is to be like, as ``response.created`` shows it.

    ``carries_sound`` is off where the sound travels by itself (WebRTC).
    """

    is_spoken: bool
    format: dict[str, Any]
    voice: str
    max_output_tokens: int | str
    metadata: Mapping[str, str] | None = None
    conversation_id: str | None = None
    carries_sound: bool = True


@dataclass
class _Part:
    """The message that is being said or written."""

    item: Item
    index: int
    heard: Heard
    encoder: Encoder | None
    text: str = ""
    sent_bytes: int = 0


@dataclass
class Response:
    """Sends the events of one response in their order, and ends whatever is open when it ends.

    ``record`` is None out of band: then nothing becomes part of the conversation.
    """

    terms: ResponseTerms
    send: Send
    record: Record | None
    id: str = field(default_factory=lambda: new_id("resp"))
    output: list[Item] = field(default_factory=list[Item])
    usage: Usage = field(default_factory=Usage)
    is_done: bool = False
    _part: _Part | None = None

    def begin(self) -> None:
        self.send(server_event("response.created", response=self._shown("in_progress", None)))

    @property
    def open_item(self) -> str:
        """The name of the message that is being said; "" between two."""
        return self._part.item["id"] if self._part else ""

    @property
    def open_message_has_text(self) -> bool:
        return self._part is not None and bool(self._part.text)

    # ── what is said ─────────────────────────────────────────────────────────────────────

    def open_message(self) -> str:
        """Begin a message, unless one has begun; its name."""
        if self._part is None:
            self._part = self._opened()
        return self._part.item["id"]

    def sound(self, pcm: bytes) -> None:
        """Speech at 24 kHz that goes out now."""
        self.open_message()
        part = self._part
        assert part is not None
        if part.encoder is None:
            part.heard.length_ms += len(pcm) / bytes_per_ms("audio/pcm")
        else:
            self._pass_on(part, part.encoder.push(pcm))

    def words(self, text: str) -> None:
        """Words of the speech whose sound has gone out."""
        self.open_message()
        part = self._part
        assert part is not None
        part.text += text
        part.heard.add(text)
        kind = "output_audio_transcript" if self.terms.is_spoken else "output_text"
        self._tell(part, f"response.{kind}.delta", delta=text)

    def close_message(self, status: Literal["completed", "incomplete"] = "completed") -> None:
        part, self._part = self._part, None
        if part is None:
            return
        if part.encoder is not None:
            self._pass_on(part, part.encoder.flush())
        if self.terms.is_spoken:
            said = part.text.strip()
            self._tell(part, "response.output_audio.done")
            self._tell(part, "response.output_audio_transcript.done", transcript=said)
            done: Item = {"type": "audio", "transcript": said}
            part.item["content"] = [{"type": "output_audio", "transcript": said}]
        else:
            self._tell(part, "response.output_text.done", text=part.text)
            done = {"type": "text", "text": part.text}
            part.item["content"] = [{"type": "output_text", "text": part.text}]
        self._tell(part, "response.content_part.done", part=done)
        part.item["status"] = status
        self._item_done(part.item, part.index)

    def request_tools(self, wanted: Sequence[HandedBack]) -> None:
        """The model wants the client's tools."""
        self.close_message()
        for each in wanted:
            self._request(each.request, each.item_id)

    def finish(
        self, status: Status = "completed", *, reason: str = "", error: str = "", code: str = ""
    ) -> None:
        """End what is open and the response with it."""
        if self.is_done:
            return
        self.is_done = True
        self.close_message("completed" if status == "completed" else "incomplete")
        details: dict[str, Any] | None = None
        if status == "failed":
            fault = {"type": "server_error", "code": code or "engine_failed", "message": error}
            details = {"type": status, "error": fault}
        elif status != "completed":
            details = {"type": status, "reason": reason}
        self.send(server_event("response.done", response=self._shown(status, details)))

    # ── how it is told ───────────────────────────────────────────────────────────────────

    def _opened(self) -> _Part:
        item: Item = {
            "id": new_item_id(),
            "object": "realtime.item",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        index = self._add(item)
        heard = self.record.said(item["id"]) if self.record is not None else Heard()
        speaks = self.terms.is_spoken and self.terms.carries_sound
        part = _Part(item, index, heard, Encoder(self.terms.format["type"]) if speaks else None)
        empty: Item = {"type": "text", "text": ""}
        if self.terms.is_spoken:
            empty = {"type": "audio", "transcript": ""}
        self._tell(part, "response.content_part.added", part=empty)
        return part

    def _request(self, request: ToolRequest, item_id: str) -> None:
        call = as_call(request)["function"]
        item: Item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "function_call",
            "status": "in_progress",
            "call_id": request.id,
            "name": request.name,
            "arguments": "",
        }
        index = self._add(item)
        place = {
            "response_id": self.id,
            "item_id": item["id"],
            "output_index": index,
            "call_id": request.id,
        }
        delta = "response.function_call_arguments.delta"
        self.send(server_event(delta, **place, delta=call["arguments"]))
        done = "response.function_call_arguments.done"
        self.send(server_event(done, **place, name=request.name, arguments=call["arguments"]))
        item |= {"arguments": call["arguments"], "status": "completed"}
        self._item_done(item, index)

    def _add(self, item: Item) -> int:
        index = len(self.output)
        self.output.append(item)
        place = {"response_id": self.id, "output_index": index}
        self.send(server_event("response.output_item.added", **place, item=dict(item)))
        if self.record is not None:
            before = self.record.add(item)
            added = "conversation.item.added"
            self.send(server_event(added, item=dict(item), previous_item_id=before))
        return index

    def _item_done(self, item: Item, index: int) -> None:
        place = {"response_id": self.id, "output_index": index}
        if self.record is not None:
            self.send(server_event("conversation.item.done", item=dict(item)))
        self.send(server_event("response.output_item.done", **place, item=dict(item)))

    def _pass_on(self, part: _Part, sound: bytes) -> None:
        if sound:
            part.sent_bytes += len(sound)
            part.heard.length_ms = part.sent_bytes / bytes_per_ms(self.terms.format["type"])
            self._tell(part, "response.output_audio.delta", delta=packed(sound))

    def _tell(self, about: _Part, kind: str, **fields: Any) -> None:
        place = {
            "response_id": self.id,
            "item_id": about.item["id"],
            "output_index": about.index,
            "content_index": 0,
        }
        self.send(server_event(kind, **place, **fields))

    def _shown(self, status: str, details: dict[str, Any] | None) -> dict[str, Any]:
        terms, usage = self.terms, self.usage
        texts = {"text_tokens": usage.prompt_tokens, "audio_tokens": 0, "image_tokens": 0}
        cached = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": [dict(item) for item in self.output],
            "conversation_id": terms.conversation_id,
            "output_modalities": ["audio" if terms.is_spoken else "text"],
            "max_output_tokens": terms.max_output_tokens,
            "audio": {"output": {"format": terms.format, "voice": terms.voice}},
            "metadata": dict(terms.metadata) if terms.metadata is not None else None,
            "usage": {
                "total_tokens": usage.prompt_tokens + usage.completion_tokens,
                "input_tokens": usage.prompt_tokens,
                "output_tokens": usage.completion_tokens,
                "input_token_details": {
                    **texts,
                    "cached_tokens": 0,
                    "cached_tokens_details": cached,
                },
                "output_token_details": {
                    "text_tokens": usage.completion_tokens,
                    "audio_tokens": 0,
                },
            },
        }
