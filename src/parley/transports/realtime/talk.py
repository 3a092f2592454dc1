"""One Realtime conversation: what the client orders, what happens in the call, what it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, cast

from parley.agents.schema import Agent
from parley.core.errors import ParleyError
from parley.core.events import (
    Event,
    TurnEnded,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
)
from parley.core.log import get_logger
from parley.session.control import SessionControl
from parley.transports.realtime.apart import Apart
from parley.transports.realtime.client_events import (
    CLIENT_EVENTS,
    AppendAudio,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    ClientEvent,
    CommitAudio,
    CreateItem,
    CreateResponse,
    DeleteItem,
    RetrieveItem,
    SessionUpdate,
    TruncateItem,
    read_event,
    read_object,
)
from parley.transports.realtime.hearing import Hearing
from parley.transports.realtime.itemising import Itemising
from parley.transports.realtime.record import Record
from parley.transports.realtime.replies import Replies
from parley.transports.realtime.response import ResponseTerms
from parley.transports.realtime.session_config import SessionConfig
from parley.transports.realtime.wire import Fault, ServerEvent, error_event, new_id, server_event

log = get_logger(__name__)


class Line(Protocol):
    """What the conversation needs of the connection that carries it."""

    carries_sound: bool
    """Whether sound comes and goes in events; else it travels by itself, as over WebRTC."""

    def send(self, event: ServerEvent) -> None: ...

    def hear(self, sound: bytes) -> None:
        """Sound that came in an event, in the session's input format."""
        ...

    async def heard(self) -> None:
        """Return when all that came in has gone into the pipeline."""
        ...

    def forget(self) -> None:
        """Throw away what came in and has not gone into the pipeline."""
        ...

    def clear_output(self) -> bool:
        """Throw away speech that waits to go out; whether there was any."""
        ...


FindVoice = Callable[[Agent, str], Awaitable[str]]
"""The engine's own name for the voice that a client wants. Raises ``InvalidValue``."""


class Talk:
    """Client events go to ``receive``, the call's own to ``tell``, frames to ``replies``.

    Nothing that a client sends ends the session: it gets an ``error`` and may go on.
    """

    def __init__(
        self, line: Line, agent: Agent, config: SessionConfig, find_voice: FindVoice
    ) -> None:
        self._line = line
        self._agent = agent
        self.config = config
        self._find_voice = find_voice
        self._conversation_id = new_id("conv")
        self._control: SessionControl | None = None
        self._held: list[ServerEvent] | None = None
        self.record = Record()
        self.replies = Replies(
            self._send_reply, self.record, self.terms, on_begin=self._hold_for_turn
        )
        self._hearing = Hearing(line, self.record, config, self._turn_told)
        self._applied: tuple[Any, ...] = ()
        self._handle: dict[type[ClientEvent], Callable[[Any], Awaitable[None]]] = {
            SessionUpdate: self._update,
            AppendAudio: self._append,
            CommitAudio: self._commit,
            ClearAudio: self._clear,
            ClearOutput: self._clear_output,
            CreateItem: self._create_item,
            RetrieveItem: self._retrieve_item,
            DeleteItem: self._delete_item,
            TruncateItem: self._truncate_item,
            CreateResponse: self._respond,
            CancelResponse: self._cancel,
        }
        assert len(self._handle) == len(CLIENT_EVENTS)

    def greet(self) -> None:
        """The first event: what the session is like."""
        self._line.send(server_event("session.created", session=self.config.shown()))

    async def begin(self, control: SessionControl) -> None:
        """The call is up: from now on client events can be done."""
        self._control = control
        conversation = control.conversation
        self._apart = Apart(conversation, self._line.send)
        self._items = Itemising(conversation, self.record, self._line.send, self.config)
        await self._apply()

    async def close(self) -> None:
        self.replies.end()
        if self._control is not None:
            await self._apart.close()

    # ── the client ───────────────────────────────────────────────────────────────────────

    async def receive(self, message: str | bytes) -> None:
        """Do what a client event asks, or say why not."""
        event_id = ""
        try:
            fields = read_object(message)
            event_id = _id_of(fields)
            event = read_event(fields)
            await self._handle[type(event)](event)
        except (Fault, ParleyError) as fault:
            log.info("realtime_refused", code=fault.code, message=fault.message)
            self._line.send(error_event(fault, event_id))

    async def _update(self, event: SessionUpdate) -> None:
        voice = self.config.form.audio.output.voice
        wanted = _wanted_voice(event.session)
        if wanted and wanted != voice:
            await self._find_voice(self._agent, wanted)
        self.config.update(event.session)
        await self._apply()
        self._line.send(server_event("session.updated", session=self.config.shown()))

    async def _apply(self) -> None:
        """Let the call be as the session says, where it isn't already."""
        config, form = self.config, self.config.form
        conversation = self.control.conversation
        conversation.set_usual_reply(config.usual_reply())
        output = form.audio.output
        now = (form.instructions, output.voice, output.speed, config.turn_taking(), config.answers)
        was = self._applied or (None,) * len(now)
        if now[0] != was[0] and (self._applied or form.instructions):
            await self.control.set_instructions(form.instructions)
        if now[1] != was[1] and output.voice:
            await self.control.set_voice(await self._find_voice(self._agent, output.voice))
        if now[2] != was[2]:
            conversation.set_speed(self._agent.speech_speed * output.speed)
        if now[3:] != was[3:]:
            await conversation.listen(
                config.turn_taking(), answers=config.answers, preroll_ms=config.padding_ms
            )
        self._applied = now

    async def _append(self, event: AppendAudio) -> None:
        if not self._line.carries_sound:
            raise Fault("Over WebRTC sound travels in the audio track, not in events.")
        self._hearing.append(event.audio)

    async def _commit(self, _: CommitAudio) -> None:
        await self._hearing.commit(self.control.conversation)

    async def _clear(self, _: ClearAudio) -> None:
        await self._hearing.clear(self.control.conversation)

    async def _clear_output(self, _: ClearOutput) -> None:
        if self._line.carries_sound:
            raise Fault(
                "Over a WebSocket the client holds the speech: stop playing it, and truncate the "
                "item.",
                code="unsupported_value",
            )
        if self.replies.active is not None:
            await self._stop_reply()
        self._line.clear_output()

    async def _create_item(self, event: CreateItem) -> None:
        await self._items.create(event)

    async def _retrieve_item(self, event: RetrieveItem) -> None:
        item = self.record.get(event.item_id)
        self._line.send(server_event("conversation.item.retrieved", item=item))

    async def _delete_item(self, event: DeleteItem) -> None:
        self._items.delete(event.item_id)

    async def _truncate_item(self, event: TruncateItem) -> None:
        self._items.truncate(event)

    async def _respond(self, event: CreateResponse) -> None:
        if self.config.transcribes:
            raise Fault("A transcription session has no responses.", code="unsupported_value")
        wish = self._items.wish_of(event.response)
        terms = self.terms()
        if event.response is not None:
            terms = self._items.terms_of(event.response, terms)
        if event.response is not None and event.response.conversation == "none":
            self._apart.begin(wish, terms)
            return
        if self.replies.active is not None:
            raise Fault(
                f"The response {self.replies.active.id} is under way: wait for response.done, or "
                "cancel it.",
                code="conversation_already_has_active_response",
            )
        self.replies.begin(terms)
        await self.control.conversation.create_response(wish)

    async def _cancel(self, event: CancelResponse) -> None:
        active = self.replies.active
        if event.response_id and self._apart.cancel(event.response_id):
            return
        if active is None or event.response_id not in (None, active.id):
            raise Fault("No response is under way.", code="response_cancel_not_active")
        await self._stop_reply()

    async def _stop_reply(self) -> None:
        self.replies.cancel()
        await self.control.fall_silent()

    # ── the call ─────────────────────────────────────────────────────────────────────────

    @property
    def control(self) -> SessionControl:
        if self._control is None:
            raise Fault("The session is still being set up.")
        return self._control

    def terms(self) -> ResponseTerms:
        """What a response is like unless it was asked for differently."""
        form, shown = self.config.form, self.config.shown()
        return ResponseTerms(
            is_spoken=form.is_spoken,
            format=form.audio.output.format.shown(),
            voice=form.audio.output.voice,
            max_output_tokens=shown.get("max_output_tokens", "inf"),
            conversation_id=self._conversation_id,
            carries_sound=self._line.carries_sound,
        )

    def tell(self, event: Event) -> None:
        """An event of the call, in order."""
        match event:
            case UserSpeechStarted():
                self._hearing.started(event)
                self.replies.flush_cut()
            case UserSpeechStopped():
                self._hearing.stopped(event)
            case UserTranscript(final=True):
                self._hearing.understood(event)
            case TurnEnded():
                self.replies.flush_cut()
            case _:
                pass

    def _send_reply(self, event: ServerEvent) -> None:
        if self._held is None:
            self._line.send(event)
        else:
            self._held.append(event)

    def _hold_for_turn(self) -> None:
        """A reply may be quicker than the news of the turn that it answers."""
        if self._hearing.is_turn_open:
            self._held = []

    def _turn_told(self) -> None:
        held, self._held = self._held, None
        for event in held or ():
            self._line.send(event)


def _id_of(fields: Mapping[str, Any]) -> str:
    event_id = fields.get("event_id")
    return event_id[:512] if isinstance(event_id, str) else ""


def _wanted_voice(session: Mapping[str, Any]) -> str:
    found: Any = session
    for name in ("audio", "output", "voice"):
        found = cast(Mapping[str, Any], found).get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""
