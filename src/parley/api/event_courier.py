"""Tells webhooks what happens in calls. What they can't take is dropped and counted."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Protocol

from parley.api.event_letters import Letter, letter_of
from parley.core.call import CallInfo
from parley.core.errors import ConnectFailed, DestinationRefused, ParleyError
from parley.core.events import CallEnded, CallStarted, Event, UserTranscript
from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.store.records import WebhookRecord
from parley.tools.webhook.signing import HEADER, sign

log = get_logger(__name__)

MOST_WAITING = 1000
FRESH_S = 5.0
TRY_LIMIT_S = 10.0
PAUSES_S = (1.0, 4.0, 15.0, 30.0)
CLOSING_S = 5.0
_TRY_AGAIN = frozenset({408, 425, 429})

Standing = Mapping[str, int]
"""How many events were delivered and dropped by this server, and how many wait."""

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]
"""``await post(url, body, headers)``: the status of the answer. Raises ``ConnectFailed`` and
``DestinationRefused``."""

UNKNOWN: Standing = {"delivered": 0, "dropped": 0, "waiting": 0}


class WebhookShelf(Protocol):
    """Where webhooks are kept: ``store.webhooks``."""

    async def all(self, tenant: str = "") -> Sequence[WebhookRecord]: ...


class Courier:
    """Carries events to webhooks, each in a task of its own: one that is slow or dead holds up
    neither calls nor the others.

    ``bus.subscribe("webhooks", courier.listen)``. Use it as an async context manager around the
    bus: leaving it gives what still waits ``CLOSING_S``.
    """

    def __init__(
        self,
        kept: WebhookShelf,
        post: Post,
        *,
        pauses_s: Sequence[float] = PAUSES_S,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._kept = kept
        self._post = post
        self._pauses_s = pauses_s
        self._most_waiting = most_waiting
        self._hooks: dict[str, list[WebhookRecord]] = {}
        self._fresh_until_s = float("-inf")
        self._calls: dict[str, CallInfo] = {}
        self._receivers: dict[str, Receiver] = {}

    async def __aenter__(self) -> Courier:
        await self.look()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(each.close() for each in self._receivers.values()))

    async def listen(self, event: Event) -> None:
        """Take an event for every webhook that wants it."""
        if isinstance(event, CallStarted):
            self._calls[event.call_id] = event.call
        call = self._calls.get(event.call_id)
        if isinstance(event, CallEnded):
            self._calls.pop(event.call_id, None)
        is_told = not (isinstance(event, UserTranscript) and not event.final)
        if call is None or not is_told:
            return
        if time.monotonic() >= self._fresh_until_s:
            await self.look()
        wanting = [h for h in self._hooks.get(call.tenant, ()) if event.name in h.events]
        if wanting:
            letter = letter_of(event, call)
            for hook in wanting:
                self._receiver(hook).put(letter)

    async def look(self) -> None:
        """See what webhooks there are by now."""
        self._fresh_until_s = time.monotonic() + FRESH_S
        try:
            found = await self._kept.all()
        except ParleyError as error:
            log.warning("webhooks_not_refreshed", error=str(error))
            return
        hooks: dict[str, list[WebhookRecord]] = {}
        for hook in found:
            hooks.setdefault(hook.tenant, []).append(hook)
        self._hooks = hooks
        ids = {hook.id for hook in found}
        for gone in [each for each in self._receivers if each not in ids]:
            await self._receivers.pop(gone).give_up()

    def standing(self, hook: WebhookRecord) -> Standing:
        receiver = self._receivers.get(hook.id)
        return receiver.standing() if receiver else UNKNOWN

    def _receiver(self, hook: WebhookRecord) -> Receiver:
        if hook.id not in self._receivers:
            self._receivers[hook.id] = Receiver(
                hook, self._post, self._pauses_s, self._most_waiting
            )
        return self._receivers[hook.id]


class Receiver:
    """One webhook: what waits for it, and the task that delivers it, in order."""

    def __init__(
        self,
        hook: WebhookRecord,
        post: Post,
        pauses_s: Sequence[float],
        most_waiting: int,
    ) -> None:
        self._hook = hook
        self._post = post
        self._pauses_s = pauses_s
        self._waiting: deque[Letter] = deque()
        self._most_waiting = most_waiting
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._delivered = 0
        self._dropped = 0
        self._working = begin(self._work(), f"webhook:{hook.id}")

    def put(self, letter: Letter) -> None:
        if len(self._waiting) >= self._most_waiting:
            self._waiting.popleft()
            self._drop("too many wait")
        self._waiting.append(letter)
        self._wake.set()

    def standing(self) -> Standing:
        return {
            "delivered": self._delivered,
            "dropped": self._dropped,
            "waiting": len(self._waiting),
        }

    async def close(self) -> None:
        """Try everything that waits once more, as far as the time reaches."""
        self._closing.set()
        self._wake.set()
        await asyncio.wait([self._working], timeout=CLOSING_S)
        await self.give_up()

    async def give_up(self) -> None:
        await end(self._working)
        while self._waiting:
            self._waiting.popleft()
            self._drop("the server ended, or the webhook was removed")

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            while self._waiting:
                # It counts as waiting while it is tried.
                letter = self._waiting[0]
                problem = await self._deliver(letter)
                if self._waiting and self._waiting[0] is letter:
                    self._waiting.popleft()
                    if problem:
                        self._drop(problem)
                    else:
                        self._delivered += 1
            if self._closing.is_set():
                return
            await self._wake.wait()

    async def _deliver(self, letter: Letter) -> str:
        """Why it could not be delivered; "" when it was."""
        problem = ""
        for pause_s in (*self._pauses_s, None):
            problem, can_retry = await self._try(letter)
            if not problem or not can_retry or pause_s is None or self._closing.is_set():
                return problem
            log.info("webhook_tried", webhook=self._hook.id, problem=problem, again_in_s=pause_s)
            try:
                async with asyncio.timeout(pause_s):
                    await self._closing.wait()
            except TimeoutError:
                continue
        return problem

    async def _try(self, letter: Letter) -> tuple[str, bool]:
        """What went wrong ("": nothing), and whether another try may help."""
        headers = {
            "Content-Type": "application/json",
            HEADER: sign(self._hook.secret, letter.body),
        }
        try:
            async with asyncio.timeout(TRY_LIMIT_S):
                status = await self._post(self._hook.url, letter.body, headers)
        except TimeoutError:
            return "it took too long", True
        except DestinationRefused as error:
            return error.message, False
        except ConnectFailed as error:
            return error.message, True
        except Exception as error:
            # Whatever a strange address does to an HTTP client, the next event gets its turn.
            log.exception("webhook_broke", webhook=self._hook.id)
            return type(error).__name__, False
        if 200 <= status < 300:
            return "", False
        return f"it answered {status}", status >= 500 or status in _TRY_AGAIN

    def _drop(self, why: str) -> None:
        self._dropped += 1
        log.warning("webhook_dropped", webhook=self._hook.id, why=why, dropped=self._dropped)
