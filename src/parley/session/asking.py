"""A question that somebody outside puts to the caller, and the wait for what the caller says."""

from __future__ import annotations

import asyncio

from parley.core.events import (
    AgentSpeechStarted,
    AgentText,
    Event,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
)


class Question:
    """Listens for the answer to one question.

    The answer is the first thing that the caller begins to say, or types, once the question can
    be heard. What was being said when it came is none.
    """

    def __init__(self, call_id: str, text: str) -> None:
        self._call_id = call_id
        self._text = text
        self._is_put = False
        self._is_heard = False
        self._is_answering = False
        self._ends_older_speech = False
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def listen(self, event: Event) -> None:
        """Take the next event of the bus."""
        if event.call_id != self._call_id:
            return
        match event:
            case AgentText(text=text) if text == self._text:
                self._is_put = True
            case AgentSpeechStarted():
                self._is_heard = self._is_put
            case UserSpeechStarted():
                self._is_answering = self._is_heard
            case UserSpeechStopped():
                self._ends_older_speech = not self._is_answering
            case UserTranscript(final=True, text=text):
                self._take(text.strip())
            case _:
                pass

    def _take(self, text: str) -> None:
        is_older, self._ends_older_speech = self._ends_older_speech, False
        if text and self._is_heard and not is_older and not self.answer.done():
            self.answer.set_result(text)
