"""What may be done to a live call from outside its pipeline, without a word of Pipecat in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, cast

from pipecat.frames.frames import (
    EndFrame,
    InterruptionWorkerFrame,
    LLMMessagesAppendFrame,
    LLMRunFrame,
    TTSSpeakFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContextMessage
from pipecat.processors.frame_processor import FrameDirection

from parley.core.call import EndReason
from parley.core.events import CallHeld, CallResumed, CallTransferred, Event
from parley.core.log import get_logger
from parley.engines.spec import SpeechOptions
from parley.session.conversation import Conversation
from parley.session.language import with_language
from parley.session.media import CallMedia
from parley.session.pipeline import CallEngines, CallPipeline
from parley.session.worker import CallWorker

log = get_logger(__name__)


class SessionControl(Protocol):
    """A live call, for whoever has a say in it: an API, a console, a transport's own protocol."""

    @property
    def call_id(self) -> str: ...

    @property
    def conversation(self) -> Conversation:
        """Turn by turn; there is one once the call has begun (``CallMedia.connected``)."""
        ...

    async def say(self, text: str) -> None:
        """Speak a sentence; it is in the context once it has been heard."""
        ...

    async def say_now(self, text: str) -> None:
        """Speak a sentence in the place of what is being said."""
        ...

    async def ask(self, text: str) -> None:
        """Put a message in the caller's name into the conversation and answer it."""
        ...

    async def interrupt(self) -> None:
        """Stop the agent's voice now."""
        ...

    async def fall_silent(self) -> None:
        """Stop the agent's voice, and return once nothing of it is left."""
        ...

    async def set_instructions(self, text: str) -> None:
        """Replace the agent's instructions from the next reply on."""
        ...

    async def set_voice(self, voice: str) -> None:
        """Change the voice from the next sentence on."""
        ...

    async def create_response(self) -> None:
        """Let the model speak without the caller having said anything."""
        ...

    async def transfer(self, target: str) -> None:
        """Hand the caller on to somebody else. Raises ``NotSupported``."""
        ...

    async def hold(self) -> None:
        """Have the caller wait. Raises ``NotSupported``."""
        ...

    async def resume(self) -> None:
        """Take the caller back. Raises ``NotSupported``."""
        ...

    async def send_digits(self, digits: str) -> None:
        """Press keys. Raises ``NotSupported`` and ``InvalidValue``."""
        ...

    def end(self, reason: EndReason) -> None:
        """End the call. The first reason counts."""
        ...


class CallControl:
    """Implements ``SessionControl``."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._ended: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self._worker: CallWorker | None = None
        self._line: CallPipeline | None = None
        self._media: CallMedia | None = None
        self._announce: Callable[[Event], None] | None = None
        self._conversation: Conversation | None = None
        self.is_up = False

    def reach(self, media: CallMedia, announce: Callable[[Event], None]) -> None:
        """From now on there is a transport to hand orders to."""
        self._media = media
        self._announce = announce

    def take_over(self, worker: CallWorker, line: CallPipeline, engines: CallEngines) -> None:
        """From now on there is a pipeline to speak to."""
        self._worker = worker
        self._line = line
        self._conversation = Conversation(worker, line, engines)

    @property
    def call_id(self) -> str:
        return self._call_id

    @property
    def worker(self) -> CallWorker:
        assert self._worker is not None, "the call has no pipeline yet"
        return self._worker

    @property
    def conversation(self) -> Conversation:
        assert self._conversation is not None, "the call has no pipeline yet"
        return self._conversation

    @property
    def is_ending(self) -> bool:
        return self._ended.done()

    @property
    def line(self) -> CallPipeline:
        assert self._line is not None, "the call has no pipeline yet"
        return self._line

    # ── SessionControl ───────────────────────────────────────────────────────────────────

    async def say(self, text: str) -> None:
        await self.worker.queue_frame(TTSSpeakFrame(text))

    async def say_now(self, text: str) -> None:
        await self.fall_silent()
        await self.say(text)

    async def ask(self, text: str) -> None:
        await self.fall_silent()
        message = cast(LLMContextMessage, {"role": "user", "content": text})
        await self.worker.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))

    async def interrupt(self) -> None:
        await self.worker.queue_frame(InterruptionWorkerFrame(), FrameDirection.UPSTREAM)

    async def set_instructions(self, text: str) -> None:
        messages = [m for m in self.line.context.get_messages() if _role(m) != "system"]
        content = with_language(text, self.line.tts.options.language)
        system = cast(LLMContextMessage, {"role": "system", "content": content})
        self.line.context.set_messages([system, *messages])

    async def set_voice(self, voice: str) -> None:
        self._speak_with(replace(self.line.tts.options, voice=voice))

    async def create_response(self) -> None:
        await self.worker.queue_frame(LLMRunFrame())

    async def transfer(self, target: str) -> None:
        await self._transport.transfer(target)
        log.info("call_transferred")
        self._tell(CallTransferred(call_id=self._call_id, target=target))

    async def hold(self) -> None:
        await self._transport.hold()
        self._tell(CallHeld(call_id=self._call_id, by="agent"))

    async def resume(self) -> None:
        await self._transport.resume()
        self._tell(CallResumed(call_id=self._call_id, by="agent"))

    async def send_digits(self, digits: str) -> None:
        await self._transport.send_dtmf(digits)

    @property
    def _transport(self) -> CallMedia:
        assert self._media is not None, "the call has no transport"
        return self._media

    def _tell(self, event: Event) -> None:
        assert self._announce is not None, "the call has no transport"
        self._announce(event)

    def hear(self, event: Event) -> None:
        """What the transport tells, on its way to everybody else."""
        self._tell(self._line.caller.keypad.take(event) if self._line is not None else event)

    def end(self, reason: EndReason) -> None:
        if not self._ended.done():
            log.info("call_ending", reason=reason)
            self._ended.set_result(reason)

    async def ended(self) -> EndReason:
        """Wait until somebody ends the call."""
        return await asyncio.shield(self._ended)

    # ── the page's own messages ──────────────────────────────────────────────────────────

    async def on_client_message(self, _rtvi: Any, message: Any) -> None:
        """An RTVI ``client-message``: ``{"t": "set_voice", "d": {"voice": …}}``."""
        data = cast(dict[str, Any], message.data if isinstance(message.data, dict) else {})
        if message.type == "set_voice" and isinstance(data.get("voice"), str):
            await self.set_voice(data["voice"])
        else:
            log.warning("client_message_unknown", type=message.type)

    async def finish_speaking(self) -> None:
        """End the pipeline once everything that was said has been heard."""
        await self.worker.queue_frame(EndFrame())

    async def fall_silent(self) -> None:
        """Stop the agent's voice, and return once nothing of it is left."""
        await self.interrupt()
        # An interruption overtakes, and takes along, what was queued behind it.
        await self.worker.flush_pipeline()

    def _speak_with(self, options: SpeechOptions) -> None:
        self.line.tts.set_options(options)


def _role(message: LLMContextMessage) -> str:
    return str(cast(dict[str, Any], message).get("role", ""))
