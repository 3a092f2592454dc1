"""What the client hears of its user's turns: when they begin and end, and what was said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from parley.core.events import CallFailed, UserSpeechStarted, UserSpeechStopped, UserTranscript
from parley.session.conversation import Conversation
from parley.session.items import new_item_id
from parley.transports.realtime.client_items import Item
from parley.transports.realtime.record import Record
from parley.transports.realtime.session_config import SessionConfig
from parley.transports.realtime.sound import bytes_per_ms, in_turns, unpacked
from parley.transports.realtime.wire import Fault, ServerEvent, server_event

LEAST_COMMIT_MS = 100
SILENCE = "(silence)"
"""What a model reads of a user who said nothing."""


class Ears(Protocol):
    """Where the client's sound goes: ``Talk``'s line."""

    carries_sound: bool

    def send(self, event: ServerEvent) -> None: ...

    def hear(self, sound: bytes) -> None: ...

    async def heard(self) -> None: ...

    def forget(self) -> None: ...


class Hearing:
    """``on_turn_told`` is called whenever a turn has become an item, ``on_heard`` with the length
    in ms of each that was heard."""

    def __init__(
        self,
        ears: Ears,
        record: Record,
        config: SessionConfig,
        on_turn_told: Callable[[], None],
        on_heard: Callable[[float], None],
    ) -> None:
        self._ears = ears
        self._record = record
        self._config = config
        self._on_turn_told = on_turn_told
        self._on_heard = on_heard
        self._open_item = ""
        self._started_ms = 0.0
        self._lengths_ms: dict[str, float] = {}
        self._understood: dict[str, str] = {}
        self._failure: CallFailed | None = None
        self._waiting_ms = 0.0
        self._appended_ms = 0.0

    @property
    def is_turn_open(self) -> bool:
        return bool(self._open_item)

    # ── sound that comes in events ───────────────────────────────────────────────────────

    async def append(self, audio: str) -> None:
        sound = await unpacked(audio)
        per_ms = bytes_per_ms(self._config.form.audio.input.format.type)
        async for piece in in_turns(sound):
            self._waiting_ms += len(piece) / per_ms
            self._appended_ms += len(piece) / per_ms
            self._ears.hear(piece)

    async def commit(self, conversation: Conversation) -> None:
        """The client says that its user has finished. Raises ``Fault``."""
        detects = self._config.form.audio.input.turn_detection is not None
        if detects:
            await self._ears.heard()
            if await conversation.end_turn() is not False:
                # The end of the turn tells of itself.
                return
        if self._ears.carries_sound and self._waiting_ms < LEAST_COMMIT_MS:
            raise Fault(
                f"The buffer holds {self._waiting_ms:.0f} ms of sound; a turn has at least "
                f"{LEAST_COMMIT_MS} ms.",
                code="input_audio_buffer_commit_empty",
            )
        item_id = new_item_id()
        self._lengths_ms[item_id], self._waiting_ms = self._waiting_ms, 0.0
        await self._ears.heard()
        self._committed(item_id)
        if detects:
            # Nobody has spoken: that is all that there is to understand.
            self._transcribed(item_id, "")
        else:
            await conversation.commit_audio(item_id)

    async def clear(self, conversation: Conversation) -> None:
        self._waiting_ms = 0.0
        self._ears.forget()
        await conversation.clear_audio()
        self._ears.send(server_event("input_audio_buffer.cleared"))

    # ── turns that were detected ─────────────────────────────────────────────────────────

    def started(self, event: UserSpeechStarted) -> None:
        self._open_item = event.item_id
        start_ms = max(0, round(event.audio_ms - self._config.padding_ms))
        self._started_ms = start_ms
        self._ears.send(
            server_event(
                "input_audio_buffer.speech_started",
                item_id=event.item_id,
                audio_start_ms=start_ms,
            )
        )

    def stopped(self, event: UserSpeechStopped) -> None:
        if event.item_id != self._open_item:
            return
        end_ms = max(round(event.audio_ms), round(self._started_ms))
        self._lengths_ms[event.item_id] = end_ms - self._started_ms
        self._ears.send(
            server_event(
                "input_audio_buffer.speech_stopped", item_id=event.item_id, audio_end_ms=end_ms
            )
        )
        self._open_item = ""
        self._waiting_ms = 0.0
        self._committed(event.item_id)
        self._on_turn_told()
        # Words come before the end of their turn; where none have, none were understood.
        self._transcribed(event.item_id, self._understood.pop(event.item_id, ""))

    def understood(self, event: UserTranscript) -> None:
        if event.item_id and event.item_id == self._open_item:
            self._understood[event.item_id] = event.text
        elif event.item_id in self._record:
            self._transcribed(event.item_id, event.text)
        else:
            self._typed(event.text)

    def failed(self, event: CallFailed) -> None:
        """The recogniser is what failed: then the words of the open turn are not to be had."""
        if event.kind == "stt":
            self._failure = event

    def silent(self, conversation: Conversation, waited_s: float) -> None:
        """The user has said nothing for so long that the silence is a turn."""
        item_id = new_item_id()
        end_ms = round(self._appended_ms)
        start_ms = max(0, end_ms - round(waited_s * 1000))
        span = {"audio_start_ms": start_ms, "audio_end_ms": end_ms}
        about = "input_audio_buffer.timeout_triggered"
        self._ears.send(server_event(about, item_id=item_id, **span))
        self._committed(item_id)
        conversation.items.insert(item_id, {"role": "user", "content": SILENCE})

    # ── items ────────────────────────────────────────────────────────────────────────────

    def _committed(self, item_id: str) -> None:
        item = _user_item(item_id, {"type": "input_audio", "transcript": None})
        before = self._record.add(item)
        place = {"item_id": item_id, "previous_item_id": before}
        self._ears.send(server_event("input_audio_buffer.committed", **place))
        self._show(item, before)

    def _transcribed(self, item_id: str, text: str) -> None:
        if item_id not in self._record:
            # The client has deleted it meanwhile.
            return
        self._record.get(item_id)["content"] = [{"type": "input_audio", "transcript": text}]
        length_ms = self._lengths_ms.pop(item_id, 0.0)
        self._on_heard(length_ms)
        if not self._config.tells_transcripts:
            return
        about = "conversation.item.input_audio_transcription"
        place = {"item_id": item_id, "content_index": 0}
        failure, self._failure = self._failure, None
        if failure is not None and not text:
            error = {"type": "server_error", "code": failure.code, "message": failure.message}
            self._ears.send(server_event(f"{about}.failed", **place, error=error))
            return
        if text:
            self._ears.send(server_event(f"{about}.delta", **place, delta=text))
        usage = {"type": "duration", "seconds": round(length_ms / 1000, 3)}
        self._ears.send(server_event(f"{about}.completed", **place, transcript=text, usage=usage))

    def _typed(self, text: str) -> None:
        """Somebody else has put a message in the caller's name into the conversation."""
        item = _user_item(new_item_id(), {"type": "input_text", "text": text})
        self._show(item, self._record.add(item))

    def _show(self, item: Item, before: str | None) -> None:
        for kind in ("added", "done"):
            self._ears.send(
                server_event(f"conversation.item.{kind}", item=dict(item), previous_item_id=before)
            )


def _user_item(item_id: str, content: dict[str, Any]) -> Item:
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [content],
    }
