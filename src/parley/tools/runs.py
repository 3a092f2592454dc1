"""The uses of tools whose answers may come later, or twice: each gives its call one result."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from parley.core.errors import BadRequest, NotFound, ParleyError
from parley.core.log import get_logger
from parley.tools.book import new_run_id
from parley.tools.masking import masked, without
from parley.tools.webhook.envelope import RunAnswer

log = get_logger(__name__)

RunState = Literal["open", "answered", "failed", "cancelled", "late"]
"""``late``: it had failed or been cancelled, and an answer came all the same."""
Delivered = Literal["call", "late", "duplicate"]
Progress = Callable[[str], Awaitable[None]]

REMEMBERED_RUNS = 10_000


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One use of a tool at a URL. ``owner`` is the tenant whose file the agent is ("" for the
    house's): its secret signs the request, and what comes back; ``tenant`` is the call's.
    ``provider`` is the kind of tool: webhook, n8n. ``secrets`` are those among its arguments and
    headers, as far as this process knows."""

    call_id: str
    tenant: str
    owner: str
    agent: str
    tool: str
    tool_call_id: str
    idempotency_key: str
    provider: str = "webhook"
    id: str = field(default_factory=new_run_id)
    secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class RememberedRun:
    """A run that a book knows of, and what became of it as far as the book knows."""

    run: ToolRun
    state: RunState


class RunBook(Protocol):
    """Remembers runs beyond this process. ``opened`` and ``closed`` return at once and never
    raise: a call doesn't wait for a database."""

    def opened(self, run: ToolRun) -> None: ...

    def closed(self, run: ToolRun, state: RunState, error: str) -> None: ...

    async def recall(self, run_id: str) -> RememberedRun | None: ...

    async def late(self, run: ToolRun, answer: Mapping[str, Any]) -> bool:
        """Keep an answer that came too late; False where one was kept before."""
        ...


class NoRunBook:
    """Where nothing is kept: runs are known for as long as this process lives."""

    def opened(self, run: ToolRun) -> None:
        del run

    def closed(self, run: ToolRun, state: RunState, error: str) -> None:
        del run, state, error

    async def recall(self, run_id: str) -> RememberedRun | None:
        del run_id
        return None

    async def late(self, run: ToolRun, answer: Mapping[str, Any]) -> bool:
        del run, answer
        return True


class OpenRun:
    """A run that its call waits for. ``answer`` is done once somebody has answered it."""

    def __init__(self, run: ToolRun, progress: Progress, callback_url: str) -> None:
        self.run = run
        self.callback_url = callback_url
        self.answer: asyncio.Future[RunAnswer] = asyncio.get_running_loop().create_future()
        self._progress = progress
        self._told: set[str] = set()

    def take(self, answer: RunAnswer) -> bool:
        """Whether this answer is the one that counts."""
        if self.answer.done():
            return False
        self.answer.set_result(answer)
        return True

    async def tell(self, text: str, mark: str = "") -> bool:
        """Whether it is told now: a message that has a ``mark`` is told once."""
        if mark and mark in self._told:
            return False
        self._told.add(mark)
        await self._progress(without(text, self.run.secrets))
        return True


class ToolRuns:
    """All runs of this process. Exactly one answer of each reaches its call; what comes after
    that is told to be late or a duplicate, and the late ones are kept in ``book``."""

    def __init__(self, book: RunBook | None = None, *, public_url: str = "") -> None:
        self._book: RunBook = book or NoRunBook()
        self._public_url = public_url.rstrip("/")
        self._open: dict[str, OpenRun] = {}
        self._closed: OrderedDict[str, RememberedRun] = OrderedDict()

    def keep_in(self, book: RunBook) -> None:
        """From now on runs are remembered there."""
        self._book = book

    def open(self, run: ToolRun, progress: Progress) -> OpenRun:
        """From now on the run can be answered. Whoever calls this must ``close`` it."""
        url = f"{self._public_url}/v1/tools/runs/{run.id}" if self._public_url else ""
        opened = self._open[run.id] = OpenRun(run, progress, url)
        self._book.opened(run)
        return opened

    def close(self, opened: OpenRun, state: RunState, error: str = "") -> None:
        """The call has its result, or waits no longer."""
        run = opened.run
        del self._open[run.id]
        self._remember(run, state)
        self._book.closed(run, state, error)

    async def find(self, run_id: str) -> ToolRun:
        """Raises ``NotFound`` for a run that nobody remembers."""
        return (await self._recall(run_id)).run

    async def answer(self, run_id: str, body: object) -> Delivered:
        """Take an answer's envelope. Raises ``BadRequest`` and ``NotFound``."""
        answer = RunAnswer.read(body)
        if answer.is_pending:
            raise BadRequest(
                "An answer that comes later can't be pending.", hint="Send progress instead."
            )
        if (opened := self._open.get(run_id)) is not None:
            return "call" if opened.take(answer) else "duplicate"
        remembered = await self._recall(run_id)
        if remembered.state in ("answered", "late"):
            return "duplicate"
        run = remembered.run
        kept = _kept(answer, run)
        # Noted before the book is asked, so that the same answer can't be kept twice meanwhile.
        self._remember(run, "late")
        try:
            is_first = await self._book.late(run, kept)
        except ParleyError:
            self._remember(run, remembered.state)
            raise
        log.warning("tool_answered_late", tool=run.tool, run=run.id, of_call=run.call_id)
        return "late" if is_first else "duplicate"

    async def progress(self, run_id: str, say: str, mark: str = "") -> Delivered:
        """Tell the caller that the tool is still at work: once for each ``mark``, where there is
        one. Raises ``NotFound``."""
        opened = self._open.get(run_id)
        if opened is None:
            await self._recall(run_id)
            return "late"
        return "call" if await opened.tell(say, mark) else "duplicate"

    async def _recall(self, run_id: str) -> RememberedRun:
        if (opened := self._open.get(run_id)) is not None:
            return RememberedRun(opened.run, "open")
        remembered = self._closed.get(run_id) or await self._book.recall(run_id)
        if remembered is None:
            raise NotFound(f"There is no tool run {run_id[:60]}.")
        return remembered

    def _remember(self, run: ToolRun, state: RunState) -> None:
        self._closed[run.id] = RememberedRun(run, state)
        self._closed.move_to_end(run.id)
        if len(self._closed) > REMEMBERED_RUNS:
            self._closed.popitem(last=False)


def _kept(answer: RunAnswer, run: ToolRun) -> Mapping[str, Any]:
    """What is written down of it. Raises ``BadRequest``."""
    try:
        # After a restart nobody knows what the secrets were; their names still tell.
        return masked(without(answer.fields(), run.secrets))
    except RecursionError as error:
        raise BadRequest("The answer is nested too deep.") from error
