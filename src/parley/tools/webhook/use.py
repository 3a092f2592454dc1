"""One use of a tool at a URL: how often it is asked, and whose answer counts."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, cast

from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.tools.runs import OpenRun
from parley.tools.webhook.answer import shortened
from parley.tools.webhook.credentials import hidden
from parley.tools.webhook.envelope import RunAnswer
from parley.tools.webhook.failures import Failure
from parley.tools.webhook.manners import MANNERS, Asked, Outcome

log = get_logger(__name__)

# With less than this left there is no time for another attempt.
_LEAST_FOR_RETRY_S = 0.3


class Use:
    """Asks once, and once more where that is safe, until ``until_s`` of the monotonic clock."""

    def __init__(self, asked: Asked, until_s: float) -> None:
        self._asked = asked
        self._until_s = until_s
        self._manner = MANNERS[asked.options.envelope]
        self._secrets: list[str] = []

    async def ask(self) -> Outcome:
        outcome = await self._attempt()
        if not self._may_ask_again(outcome):
            return outcome
        pause_s = self._asked.house.retry_pause_s * (1 + random.random())
        if self._left_s() < pause_s + _LEAST_FOR_RETRY_S:
            return outcome
        log.info("webhook_asked_again", tool=self._asked.options.name)
        await asyncio.sleep(pause_s)
        return await self._attempt()

    async def answered(self, opened: OpenRun) -> Outcome:
        """What it answers, at once or by a message of its own: the first of both counts."""
        asking = begin(self.ask(), f"webhook:{self._asked.options.name}")
        try:
            await asyncio.wait({asking, opened.answer}, return_when=asyncio.FIRST_COMPLETED)
            if opened.answer.done():
                return opened.answer.result()
            outcome = asking.result()
            if isinstance(outcome, Failure):
                return outcome
            if not outcome.is_pending:
                opened.take(outcome)
                return outcome
            return await self._later(opened, outcome.say)
        finally:
            await end(asking)

    async def _later(self, opened: OpenRun, say: str) -> Outcome:
        try:
            async with asyncio.timeout(self._left_s()):
                if say:
                    await opened.tell(say)
                # Shielded, an answer to a run that is given up just now is late and no duplicate.
                return await asyncio.shield(opened.answer)
        except TimeoutError:
            if opened.answer.done():
                # It was taken in the very moment in which the time was up.
                return opened.answer.result()
            return Failure("timeout", "it promised an answer, which didn't come in time")

    async def _attempt(self) -> Outcome:
        left_s = self._left_s()
        if left_s <= 0:
            return Failure("timeout", "no time was left", was_sent=False)
        try:
            self._secrets = self._asked.secrets()
            request = await self._manner.request(self._asked, left_s)
        except ParleyError as error:
            return Failure("not_set_up", str(error), was_sent=False)
        reply = await self._asked.house.sender.send(request, left_s)
        return reply if isinstance(reply, Failure) else self._manner.read(self._asked, reply)

    def _may_ask_again(self, outcome: Outcome) -> bool:
        if isinstance(outcome, RunAnswer):
            return not outcome.ok and outcome.can_retry
        if not outcome.may_pass:
            return False
        return not outcome.was_sent or self._manner.may_repeat(self._asked, outcome)

    def result_of(self, answer: RunAnswer) -> Any | Failure:
        """What the model gets of a good answer."""
        try:
            return self._result_of(answer)
        except RecursionError:
            return Failure("no_data", "the answer is nested too deep")

    def _result_of(self, answer: RunAnswer) -> Any | Failure:
        options = self._asked.options
        if answer.result is None:
            result: Any = {"status": "done"}
        else:
            try:
                result = options.answer.mapped(answer.result)
            except LookupError as error:
                return Failure("no_data", f"the answer has no {options.answer.take} ({error})")
        result = shortened(
            hidden(result, self._secrets),
            most_items=options.answer.most_items,
            most_bytes=options.max_answer_bytes,
        )
        if result is None:
            return Failure("too_large", "take and keep less of it: no shortening was enough")
        return _with_say(result, self.without_secrets(answer.say))

    def without_secrets(self, text: str) -> str:
        return hidden(text, self._secrets)

    def _left_s(self) -> float:
        return self._until_s - time.monotonic()


def _with_say(result: Any, say: str) -> Any:
    if not say:
        return result
    if isinstance(result, dict):
        return {**cast("dict[str, Any]", result), "say": say}
    return {"result": result, "say": say}
