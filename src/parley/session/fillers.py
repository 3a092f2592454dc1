"""No dead air while tools run: short sentences that tell the caller that it goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from pipecat.frames.frames import TTSSpeakFrame

from parley.core.events import AgentFiller, Event
from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.session.pipeline import CallPipeline
from parley.session.waiting_times import WaitingTimes
from parley.session.waiting_words import WaitingWords
from parley.tools.spec import Tool

log = get_logger(__name__)


class Fillers:
    """One call's. However many tools run, one sentence at a time is said for all of them.

    The model never sees these sentences: they stand between its request and the result, where no
    model expects a word of its own.
    """

    def __init__(
        self,
        words: WaitingWords,
        call_id: str,
        announce: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._words = words
        self._call_id = call_id
        self._announce = announce
        self._clock = clock
        self._times = WaitingTimes()
        self._line: CallPipeline | None = None
        self._waits: dict[str, Tool] = {}
        self._news = ""
        self._used = {"first": 0, "later": 0}
        self._changed = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None

    def speak_through(self, line: CallPipeline) -> None:
        """From now on there is a voice."""
        self._line = line

    def note(self, event: Event) -> None:
        """Tell of an event of the call."""
        self._times.note(event, self._clock())
        self._changed.set()

    def begin(self, tool: Tool, tool_call_id: str) -> None:
        """The caller waits for that tool."""
        if not tool.filler_after_ms or self._line is None:
            return
        if not self._waits:
            self._times.begin(self._clock())
            self._news = ""
        self._waits[tool_call_id] = tool
        if self._times.is_first and not self._stock():
            self._times.skip_first()
        if self._telling is None:
            self._telling = begin(self._tell(), f"fillers:{self._call_id}")
        self._changed.set()

    def end(self, tool_call_id: str) -> None:
        """The caller waits for it no longer."""
        self._waits.pop(tool_call_id, None)
        self._changed.set()

    async def progress(self, tool_call_id: str, text: str) -> None:
        """What a tool tells of itself: it is said as soon as nobody speaks. The newest counts."""
        text = " ".join(text.split())
        if text and tool_call_id in self._waits:
            self._news = text
            self._changed.set()

    async def close(self) -> None:
        self._waits.clear()
        telling, self._telling = self._telling, None
        if telling is not None:
            await end(telling)

    async def _tell(self) -> None:
        while True:
            self._changed.clear()
            due_s = self._due_s()
            try:
                async with asyncio.timeout(
                    None if due_s is None else max(0.0, due_s - self._clock())
                ):
                    await self._changed.wait()
            except TimeoutError:
                # In the same moment the answer may have come, or the caller begun to speak.
                if self._due_s() is not None:
                    await self._say(self._next())

    def _due_s(self) -> float | None:
        if not self._waits or self._line is None or self._line.llm.is_writing:
            return None
        if not (self._news or self._stock()):
            return None
        first_after_s = min(tool.filler_after_ms for tool in self._waits.values()) / 1000
        return self._times.due_s(first_after_s=first_after_s, has_news=bool(self._news))

    def _stock(self) -> Sequence[str]:
        """What can be said at this point of the wait."""
        if self._times.is_first:
            own = [tool.filler for tool in self._waits.values() if tool.filler]
            return own[:1] or self._words.fillers
        return self._words.still_working

    def _next(self) -> str:
        text, self._news = self._news, ""
        if text:
            return text
        stock, which = self._stock(), "first" if self._times.is_first else "later"
        self._used[which] += 1
        return stock[(self._used[which] - 1) % len(stock)]

    async def _say(self, text: str) -> None:
        # At this moment a tool still runs, so no word of the answer can be on its way to the
        # voice: what is put there now is before it.
        assert self._line is not None
        self._times.told(self._clock())
        log.info("filler", text=text)
        self._announce(AgentFiller(call_id=self._call_id, text=text))
        await self._line.tts.queue_frame(TTSSpeakFrame(text, append_to_context=False))
