"""A live call as those see it who have a say in it from outside: who it is, and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from parley.core.bus import Bus
from parley.core.call import CallInfo
from parley.core.errors import (
    CallNotLive,
    FarSideRefused,
    NoAnswer,
    NotReady,
    NotSupported,
    ParleyError,
    QuestionPending,
)
from parley.session.asking import Question
from parley.session.control import CallControl


@dataclass(eq=False)
class LiveCall:
    """One call that the host holds. ``over`` is its task, done when everything of it is free."""

    call: CallInfo
    control: CallControl
    over: asyncio.Task[None]
    bus: Bus
    _is_asked: bool = field(default=False, init=False)

    @property
    def is_ringing(self) -> bool:
        """Whether it goes out and nobody has answered yet."""
        return self.call.direction == "outbound" and not self.control.is_up

    @property
    def is_ending(self) -> bool:
        return self.control.is_ending or self.over.done()

    async def say(self, text: str, *, interrupts: bool = False) -> None:
        """Speak a sentence; with ``interrupts`` in the place of what is being said."""
        self._require_up()
        if interrupts:
            await self.control.say_now(text)
        else:
            await self.control.say(text)

    async def ask(self, text: str, *, timeout_s: float) -> str:
        """Speak a question now and return what the caller says to it.

        Raises ``NoAnswer`` after ``timeout_s``, ``CallNotLive`` when the call ends before, and
        ``QuestionPending`` while another question waits.
        """
        self._require_up()
        if self._is_asked:
            raise QuestionPending(
                "The caller has been asked something already.", hint="Wait for that answer first."
            )
        self._is_asked = True
        question = Question(self.call.id, text)
        listening = self.bus.subscribe(f"question:{self.call.id}", question.listen)
        try:
            await self.control.say_now(text)
            await asyncio.wait(
                {question.answer, self.over},
                timeout=timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self.bus.unsubscribe(listening)
            self._is_asked = False
        if question.answer.done():
            return question.answer.result()
        if self.over.done():
            raise CallNotLive(f"The call {self.call.id} ended before the caller answered.")
        raise NoAnswer(f"The caller gave no answer within {timeout_s:g} seconds.")

    async def transfer(self, target: str) -> None:
        """Hand the caller on. Raises ``NotSupported`` where the transport can't."""
        await self._do(self.control.transfer(target), "be transferred")

    async def hold(self) -> None:
        """Have the caller wait. Raises ``NotSupported`` where the transport can't."""
        await self._do(self.control.hold(), "be put on hold")

    async def resume(self) -> None:
        """Take the caller back. Raises ``NotSupported`` where the transport can't."""
        await self._do(self.control.resume(), "be taken from hold")

    async def send_digits(self, digits: str) -> None:
        """Press keys. Raises ``NotSupported`` where the transport can't."""
        await self._do(self.control.send_digits(digits), "be sent keys")

    async def _do(self, what: Coroutine[Any, Any, None], words: str) -> None:
        try:
            self._require_up()
        except ParleyError:
            what.close()
            raise
        try:
            await what
        except FarSideRefused:
            raise
        except NotSupported as error:
            raise NotSupported(
                f"A call that came by {self.call.transport} can't {words}.",
                hint="Telephone calls can.",
            ) from error

    def hang_up(self) -> None:
        """End the call once what is being said has been heard."""
        self._require_live()
        self.control.end("agent")

    def _require_live(self) -> None:
        if self.is_ending:
            raise CallNotLive(f"The call {self.call.id} is ending.")

    def _require_up(self) -> None:
        self._require_live()
        if not self.control.is_up:
            raise NotReady(
                f"The call {self.call.id} is not connected yet.",
                hint="Try again in a moment.",
                retry_after_s=1,
            )
