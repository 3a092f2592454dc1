"""One Realtime conversation: what the client orders, what happens in the call, what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from parley.agents.schema import Agent
from parley.core.errors import ParleyError
from parley.core.events import (
    CallFailed,
    Event,
    TurnEnded,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
)
from parley.core.log import get_logger
from parley.session.control import SessionControl
from parley.transports.realtime.account import OpenAccount
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
from parley.transports.realtime.idle import IdleTimer
from parley.transports.realtime.in_force import InForce
from parley.transports.realtime.itemising import ItemEvent, Itemising
from parley.transports.realtime.line import FindVoice, Line
from parley.transports.realtime.record import Record
from parley.transports.realtime.replies import Replies
from parley.transports.realtime.response import ResponseTerms
from parley.transports.realtime.session_config import SessionConfig
from parley.transports.realtime.wire import Fault, ServerEvent, error_event, new_id, server_event

log = get_logger(__name__)


class Talk:
    """Client events go to ``receive``, the call's own to ``tell``, frames to ``replies``.

    Nothing that a client sends ends the session: it gets an ``error`` and may go on.
    """

    def __init__(
        self,
        line: Line,
        agent: Agent,
        config: SessionConfig,
        find_voice: FindVoice,
        open_account: OpenAccount,
    ) -> None:
        self._line = line
        self._account = open_account(line.send)
        self._agent = agent
        self.config = config
        self._find_voice = find_voice
        self._conversation_id = new_id("conv")
        self._control: SessionControl | None = None
        self._held: list[ServerEvent] | None = None
        self.record = Record()
        self._hearing = Hearing(line, self.record, config, self._turn_told, self._account.heard)
        self.replies = Replies(
            self.send_in_order,
            self.record,
            self.terms,
            knows_turn=lambda: self._hearing.is_turn_open,
            on_begin=self._hold_for_turn,
            on_end=self._reply_ended,
        )
        self._idle = IdleTimer(self._prompt_silent_user)
        self._handle: dict[type[ClientEvent], Callable[[Any], Awaitable[None]]] = {
            SessionUpdate: self._update,
            AppendAudio: self._append,
            CommitAudio: self._commit,
            ClearAudio: self._clear,
            ClearOutput: self._clear_output,
            CreateItem: self._change_items,
            RetrieveItem: self._change_items,
            DeleteItem: self._change_items,
            TruncateItem: self._change_items,
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
        self._in_force = InForce(control, self._agent, self.config, self._find_voice)
        self._apart = Apart(conversation, self._say)
        self._items = Itemising(conversation, self.record, self._line.send, self.config)
        await self._in_force.apply()

    async def close(self) -> None:
        """Tell what has come to its end with the call."""
        self.replies.end()
        self._idle.stop()
        if self._control is not None:
            await self._apart.close()
        await self._account.close()

    # ── the client ───────────────────────────────────────────────────────────────────────

    async def receive(self, message: str | bytes) -> None:
        """Do what a client event asks, or say why not."""
        event_id = ""
        # Whoever sends thousands at once must leave others their turn.
        await asyncio.sleep(0)
        try:
            fields = await read_object(message)
            event_id = _id_of(fields)
            event = read_event(fields)
            await self._handle[type(event)](event)
        except (Fault, ParleyError) as fault:
            log.info("realtime_refused", code=fault.code, message=fault.message)
            self._line.send(error_event(fault, event_id))
        except Exception:
            # What nobody thought of must not end the session either.
            log.exception("realtime_event_broke")
            broken = ParleyError("Something broke in here; the log has the details.")
            self._line.send(error_event(broken, event_id))

    async def _update(self, event: SessionUpdate) -> None:
        wished = self.config.with_change(event.session)
        voice = wished.form.audio.output.voice
        if voice != self.config.form.audio.output.voice:
            await self._in_force.found(voice)
        self.config.take(wished)
        await self._in_force.apply()
        self._line.send(server_event("session.updated", session=self.config.shown()))

    async def _append(self, event: AppendAudio) -> None:
        if not self._line.carries_sound:
            raise Fault("Over WebRTC sound travels in the audio track, not in events.")
        await self._hearing.append(event.audio)

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

    async def _change_items(self, event: ItemEvent) -> None:
        await self._items.obey(event)

    async def _respond(self, event: CreateResponse) -> None:
        if self.config.transcribes:
            raise Fault("A transcription session has no responses.", code="unsupported_value")
        wish = self._items.wish_of(event.response)
        terms, voice = self.terms(), self._in_force.voice
        if event.response is not None:
            terms = self._items.terms_of(event.response, terms)
            if wanted := event.response.audio.output.voice:
                voice = await self._in_force.found(wanted, "response.audio.output.voice")
        if event.response is not None and event.response.conversation == "none":
            self._apart.begin(wish, terms, voice)
            return
        if self.replies.active is not None:
            raise Fault(
                f"The response {self.replies.active.id} is under way: wait for response.done, or "
                "cancel it.",
                code="conversation_already_has_active_response",
            )
        self._idle.stop()
        self.replies.begin(terms)
        self.control.conversation.set_voice(voice)
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
        # What left the pipeline meanwhile was not sent on.
        for item_id in self.replies.cut_short:
            heard = self.record.said(item_id)
            self.control.conversation.items.truncate(item_id, heard.text)

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
                self._idle.stop()
                self._hearing.started(event)
                self.replies.flush_cut()
            case UserSpeechStopped():
                self._hearing.stopped(event)
            case UserTranscript(final=True):
                self._hearing.understood(event)
            case TurnEnded():
                self.replies.flush_cut()
            case CallFailed():
                self._hearing.failed(event)
            case _:
                pass

    def _reply_ended(self) -> None:
        conversation = self.control.conversation
        if conversation.voice != self._in_force.voice:
            conversation.set_voice(self._in_force.voice)
        if (limit_s := self.config.idle_timeout_s) is not None:
            self._idle.start(self.replies.left_s + limit_s)

    async def _prompt_silent_user(self) -> None:
        """The user has said nothing for as long as the client wants to wait."""
        if self.replies.active is None and not self._hearing.is_turn_open:
            self._hearing.silent(self.control.conversation, self.config.idle_timeout_s or 0)
            await self._respond(CreateResponse())

    def send_in_order(self, event: ServerEvent) -> None:
        """Send what belongs between the events of a response."""
        if self.config.transcribes:
            return
        if self._held is None:
            self._say(event)
        else:
            self._held.append(event)

    def _hold_for_turn(self) -> None:
        """A reply may be quicker than the news of the turn that it answers."""
        if self._hearing.is_turn_open:
            self._held = []

    def _turn_told(self) -> None:
        held, self._held = self._held, None
        for event in held or ():
            self._say(event)

    def _say(self, event: ServerEvent) -> None:
        self._line.send(event)
        if event["type"] == "response.done":
            self._account.answered(event)


def _id_of(fields: Mapping[str, Any]) -> str:
    event_id = fields.get("event_id")
    return event_id[:512] if isinstance(event_id, str) else ""
