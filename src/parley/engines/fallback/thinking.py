"""A chain of language models that looks like one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from parley.core.errors import EngineFailed
from parley.core.log import get_logger
from parley.engines.fallback.chain import Attempt, Chain, Tell
from parley.engines.fallback.head import ChainHead
from parley.engines.fallback.limits import StageLimits
from parley.engines.fallback.member import reason_of
from parley.engines.fallback.seam import Seam, carried_on
from parley.engines.fallback.timing import Drip, closing, within
from parley.engines.llm.guarding import bounded
from parley.engines.llm.textual_calls import spoken_deltas
from parley.engines.spec import ChatOptions, Chatter, Delta, Message, ToolSchema

log = get_logger(__name__)

# A reply that comes more slowly than this can't be spoken without holes.
LETTERS_PER_S = 8.0
_NOTHING = Delta()


class FallbackChat(ChainHead[Chatter]):
    """A ``Chatter`` over several.

    Text that was given out stands: the next model carries on from there. Tools that were asked
    for stand too, and end the reply if their model fails afterwards, so that none is run twice.
    An empty ``Delta`` is an engine's sign of life and goes no further.

    With ``is_spoken`` each model's reply is made fit for speaking by itself: what one that failed
    left half written (a call, reasoning) doesn't swallow the words of the next.
    """

    def __init__(self, chain: Chain[Chatter], *, is_spoken: bool = False) -> None:
        super().__init__(chain)
        self._is_spoken = is_spoken

    def for_call(self, tell: Tell, limits: StageLimits | None = None) -> FallbackChat:
        """The same engines for one call, which is told of replacements."""
        return FallbackChat(self.chain.for_call(tell, limits), is_spoken=self._is_spoken)

    def spoken(self) -> FallbackChat:
        """The same engines for replies that are spoken."""
        return FallbackChat(self.chain, is_spoken=True)

    def grammar(self) -> str:
        return self.chain.serving.engine.grammar()

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        request = self.chain.request()
        said: list[str] = []
        has_asked_tools = False
        while True:
            attempt = request.attempt()
            try:
                deltas = self._ask(attempt, "".join(said), messages, tools, options)
                async with aclosing(deltas):
                    async for delta in deltas:
                        said.append(delta.text)
                        has_asked_tools = has_asked_tools or bool(delta.tools)
                        yield delta
                attempt.succeeded()
                return
            except (GeneratorExit, asyncio.CancelledError):
                attempt.left()
                raise
            except Exception as error:
                # Whatever it throws, the next one is asked; `failed` raises if there is none.
                if has_asked_tools:
                    log.warning("model_failed_late", engine=attempt.member.name, error=str(error))
                    attempt.member.failed(reason_of(error))
                    return
                await request.failed(attempt, error)

    async def _ask(
        self,
        attempt: Attempt[Chatter],
        said: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        options: ChatOptions,
    ) -> AsyncGenerator[Delta]:
        """One model's reply; what it repeats of ``said`` is left out."""
        name, engine = attempt.member.name, attempt.engine
        if not attempt.is_first_choice:
            # A model's name means nothing to another engine.
            options = replace(options, model="")
        seam, drip = Seam(said), Drip(attempt.gap_s)
        is_empty = True
        deadline_s = time.monotonic() + attempt.first_s
        async with attempt.member.place(options.tenant, attempt.first_s):
            asked = carried_on(messages, said) if said.strip() else messages
            reply = engine.chat(asked, tools, options)
            if self._is_spoken:
                reply = spoken_deltas(bounded(reply, options.max_tokens), tools)
            async with closing(reply) as deltas:
                delta = await within(deadline_s - time.monotonic(), deltas, name)
                while delta is not None:
                    if delta == _NOTHING:
                        drip.lives()
                    else:
                        attempt.has_given = True
                        is_empty = is_empty and not (delta.text.strip() or delta.tools)
                        drip.came(time.monotonic(), len(delta.text) / LETTERS_PER_S)
                        delta = replace(delta, text=seam.take(delta.text)) if said else delta
                        if delta != _NOTHING:
                            yield delta
                    delta = await within(drip.wait_begins(time.monotonic()), deltas, name)
        if is_empty and not said.strip():
            raise EngineFailed(f"{name} answered nothing.")
