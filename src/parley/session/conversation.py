"""A live call's conversation in the hands of whoever drives it turn by turn: what is listened for,
when the model answers and how, and what it remembers. No word of Pipecat leaves this file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import cast

from parley.agents.schema import TurnTaking
from parley.core.audio import Audio, Resampler
from parley.engines.llm.guarding import Guard
from parley.engines.llm.live import ReplyFrame
from parley.engines.llm.reply_wish import ReplyWish
from parley.engines.spec import Delta, Message, TranscriptPart
from parley.engines.stt.orders import (
    PREROLL_MS,
    AfterSpeechFrame,
    CommitFrame,
    DiscardFrame,
    EndTurnFrame,
    HearingOrder,
)
from parley.session.items import Items
from parley.session.pipeline import CallEngines, CallPipeline
from parley.session.turns import TurnTakingFrame
from parley.session.worker import INPUT_RATE_HZ, CallWorker

TAKEN_WITHIN_S = 5.0


@dataclass
class RespondFrame(ReplyFrame, AfterSpeechFrame):
    """The model is to answer, once what was said before is understood."""


class Conversation:
    """One call's. Orders take effect in the order in which they are given."""

    def __init__(self, worker: CallWorker, line: CallPipeline, engines: CallEngines) -> None:
        self._worker = worker
        self._line = line
        self._engines = engines

    @property
    def items(self) -> Items:
        return self._line.items

    @property
    def voice(self) -> str:
        return self._line.tts.options.voice

    def set_usual_reply(self, wish: ReplyWish) -> None:
        """How replies are from the next one on, where nothing else is asked."""
        self._line.llm.set_usual(wish)

    def set_voice(self, voice: str) -> None:
        """Speak with it from the next sentence on; it is the engine's own name."""
        self._line.tts.set_options(replace(self._line.tts.options, voice=voice))

    def set_hearing(self, language: str, prompt: str) -> None:
        """Listen for that language, and for words like the prompt's, from the next utterance on."""
        self._line.stt.set_options(language=language, prompt=prompt)

    def hear_language(self, language: str) -> None:
        """Listen for that language from the next utterance on, and else as before."""
        self._line.stt.hear_language(language)

    def set_speed(self, speed: float) -> None:
        """Speak faster or slower from the next sentence on; 1 is the voice's own pace."""
        self._line.tts.set_options(replace(self._line.tts.options, speed=speed))

    async def listen(
        self, turn_taking: TurnTaking | None, *, answers: bool = True, preroll_ms: int = PREROLL_MS
    ) -> None:
        """Part turns like this from here on; None: they end with ``commit_audio``."""
        await self._order(
            TurnTakingFrame(
                commits=turn_taking is None,
                keeps_all=True,
                preroll_ms=preroll_ms,
                turn_taking=turn_taking,
                answers=answers,
            )
        )

    async def commit_audio(self, item_id: str) -> None:
        """What was said since the last time is an utterance, and has that name."""
        await self._order(CommitFrame(item_id=item_id))

    async def end_turn(self) -> bool | None:
        """End the turn that is open now, answered by no one, where turns are detected; whether
        there was one. None: the recogniser still works on it, and then it will have ended."""
        order = EndTurnFrame()
        await self._order(order)
        return order.had_turn

    async def clear_audio(self) -> None:
        """Forget what was said since the last utterance."""
        await self._order(DiscardFrame())

    async def _order(self, order: HearingOrder) -> None:
        await self._worker.queue_frame(order)
        # A call that is ending takes no more orders.
        with suppress(TimeoutError):
            await asyncio.wait_for(order.taken.wait(), TAKEN_WITHIN_S)

    async def create_response(self, wish: ReplyWish) -> None:
        """Let the model answer, once what was said before is understood."""
        await self._worker.queue_frame(RespondFrame(wish))

    async def hear(self, sound: Audio) -> str:
        """What is said in a recording, besides the call's own sound."""
        parts = cast(
            AsyncGenerator[TranscriptPart],
            self._engines.stt.transcribe(_pieces(sound), self._engines.hearing),
        )
        async with aclosing(parts):
            return " ".join([part.text async for part in parts if part.final]).strip()

    def messages(self) -> list[Message]:
        """The conversation so far, instructions first."""
        return [dict(cast(Message, each)) for each in self._line.context.get_messages()]

    async def think_apart(
        self, conversation: Sequence[Message], wish: ReplyWish
    ) -> AsyncGenerator[Delta]:
        """A reply outside the call: it is neither spoken nor remembered."""
        guard = Guard(self._engines.limits)
        options, tools = wish.options(self._engines.thinking), wish.offered(())
        chat = self._engines.llm.chat(guard.asked(wish.asked(conversation)), tools, options)
        async with aclosing(guard.reply(chat, tools, options.max_tokens)) as deltas:
            async for delta in deltas:
                yield delta

    async def speak_apart(self, text: str, *, voice: str = "") -> AsyncGenerator[Audio]:
        """Text as sound that the call's line does not carry."""
        options = self._line.tts.options
        sounds = cast(
            AsyncGenerator[Audio],
            self._engines.tts.synthesize(text, replace(options, voice=voice or options.voice)),
        )
        async with aclosing(sounds):
            async for sound in sounds:
                yield sound


async def _pieces(sound: Audio) -> AsyncIterator[Audio]:
    resampler = Resampler(sound.rate_hz, INPUT_RATE_HZ)
    pcm = resampler.push(sound.pcm) + resampler.flush()
    step = INPUT_RATE_HZ // 10 * 2
    for start in range(0, len(pcm), step):
        yield Audio(pcm[start : start + step], INPUT_RATE_HZ)
