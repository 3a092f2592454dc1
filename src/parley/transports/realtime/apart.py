"""Responses out of band: the model is asked beside the conversation, which knows nothing of it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial

from parley.core.audio import Resampler
from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.engines.spec import ToolRequest
from parley.session.conversation import Conversation
from parley.session.items import new_item_id
from parley.session.reply import HandedBack, ReplyWish
from parley.transports.realtime.response import Response, ResponseTerms, Send
from parley.transports.realtime.session_form import PCM_RATE_HZ
from parley.transports.realtime.wire import Fault

log = get_logger(__name__)

MOST_AT_ONCE = 8
MOST_IN_ALL = 32
"""With those that wait for their turn."""


class Apart:
    """Several may be under way at once; each can be cancelled by its name."""

    def __init__(self, conversation: Conversation, send: Send) -> None:
        self._conversation = conversation
        self._send = send
        self._running: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    def begin(self, wish: ReplyWish, terms: ResponseTerms, voice: str = "") -> None:
        """Raises ``Fault`` when too many wait already."""
        if len(self._running) >= MOST_IN_ALL:
            raise Fault(
                f"{MOST_IN_ALL} responses out of band are under way or wait: let some of them end.",
                code="too_many_responses",
            )
        response = Response(terms, self._send, None)
        response.begin()
        work = self._respond(response, wish, voice)
        task = asyncio.create_task(work, name=f"apart:{response.id}")
        self._running[response.id] = task
        task.add_done_callback(partial(self._ended, response))

    def cancel(self, response_id: str) -> bool:
        task = self._running.get(response_id)
        return task is not None and task.cancel()

    async def close(self) -> None:
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, response: Response, _: asyncio.Task[None]) -> None:
        self._running.pop(response.id, None)
        # A task that is cancelled before its first step never takes one.
        response.finish("cancelled", reason="client_cancelled")

    async def _respond(self, response: Response, wish: ReplyWish, voice: str) -> None:
        try:
            async with self._room:
                finish = await self._think(response, wish, voice)
        except ParleyError as error:
            response.finish("failed", error=str(error), code=error.code)
        except Exception as error:
            # Engines of other packages raise what they like; the session must go on.
            log.exception("apart_broke")
            response.finish("failed", error=f"The engine broke: {type(error).__name__}.")
        else:
            if finish == "length":
                response.finish("incomplete", reason="max_output_tokens")
            else:
                response.finish()

    async def _think(self, response: Response, wish: ReplyWish, voice: str) -> str:
        said, finish = "", ""
        requests: list[ToolRequest] = []
        thoughts = self._conversation.think_apart(self._conversation.messages(), wish)
        async with aclosing(thoughts) as deltas:
            async for delta in deltas:
                said += delta.text
                requests += delta.tools
                finish = delta.finish or finish
                response.usage = delta.usage or response.usage
                if delta.text and not response.terms.is_spoken:
                    response.words(delta.text)
        if said and response.terms.is_spoken:
            await self._speak(response, said, voice)
        if requests:
            response.request_tools([HandedBack(each, new_item_id()) for each in requests])
        return finish

    async def _speak(self, response: Response, text: str, voice: str) -> None:
        resampler: Resampler | None = None
        async with aclosing(self._conversation.speak_apart(text, voice=voice)) as sounds:
            async for sound in sounds:
                resampler = resampler or Resampler(sound.rate_hz, PCM_RATE_HZ)
                response.sound(resampler.push(sound.pcm))
        if resampler is not None:
            response.sound(resampler.flush())
        response.words(text)
