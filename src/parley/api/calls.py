"""``/v1/calls``: who is calling, what was said, and a say in what goes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from parley.api.calls_bodies import (
    Ask,
    Digits,
    Say,
    ShownAnswer,
    ShownCall,
    ShownCallInFull,
    ShownCalls,
    ShownTranscript,
    Transfer,
    shown,
    shown_tool_use,
    shown_turn,
)
from parley.api.openai.bodies import described_body, read_json, tenant_of
from parley.api.openai.engines import Guard
from parley.api.tool_runs_bodies import shown_run
from parley.core.answers import BODY_FAULTS, answers
from parley.core.errors import CallNotLive, Forbidden, InvalidValue, NotFound
from parley.session.live_call import LiveCall
from parley.store.records import CallRecord, RunQuery, ToolRunRecord, ToolUseRecord, TurnRecord

BodyT = TypeVar("BodyT", bound=BaseModel)

MOST_BODY_BYTES = 64 * 1024
PAGE, MOST_ON_PAGE = 20, 100
_CALL = "/v1/calls/{call_id}"


class Host(Protocol):
    """Who holds the live calls: ``SessionHost`` does."""

    def live(self, tenant: str) -> Sequence[LiveCall]: ...


class CallShelf(Protocol):
    """Where calls are kept: ``store.calls`` is one."""

    async def of(
        self, tenant: str, *, before: CallRecord | None = None, limit: int = PAGE
    ) -> Sequence[CallRecord]: ...

    async def get(self, tenant: str, call_id: str) -> CallRecord | None: ...

    async def turns(self, tenant: str, call_id: str) -> Sequence[TurnRecord]: ...

    async def tool_uses(self, tenant: str, call_id: str) -> Sequence[ToolUseRecord]: ...


class RunShelf(Protocol):
    """Where runs of tools are kept: ``store.tool_runs`` is one."""

    async def of(self, tenant: str, wanted: RunQuery) -> Sequence[ToolRunRecord]: ...


def calls_router(
    host: Host, kept: CallShelf, runs: RunShelf, guard: Guard, *, stall_s: float
) -> APIRouter:
    """``GET /v1/calls[/{id}[/transcript]]``, and ``POST /v1/calls/{id}/`` say, ask, transfer,
    hold, resume, digits and hangup.

    Each tenant has its own calls, and no others.
    """
    calls = _Calls(host, kept, runs, stall_s)
    router = APIRouter(tags=["calls"], dependencies=[Depends(guard), Depends(refuse_secrets)])
    _add_views(router, calls)
    _add_actions(router, calls)
    return router


def _add_views(router: APIRouter, calls: _Calls) -> None:
    for path, route, faults, summary in (
        ("/v1/calls", calls.list, (400, 503), "List calls, newest first"),
        (_CALL, calls.get, (404, 503), "See a call"),
        (f"{_CALL}/transcript", calls.transcript, (404, 503), "Read what was said in a call"),
    ):
        router.add_api_route(
            path, route, methods=["GET"], summary=summary, responses=answers(*faults)
        )


def _add_actions(router: APIRouter, calls: _Calls) -> None:
    faults = (404, 409, 503)
    for name, route, shape, also, summary in (
        ("say", calls.say, Say, (), "Have the agent say something"),
        ("ask", calls.ask, Ask, (504,), "Ask the caller something and wait for the answer"),
        ("transfer", calls.transfer, Transfer, (), "Hand the caller on"),
        ("digits", calls.send_digits, Digits, (), "Press keys"),
    ):
        router.add_api_route(
            f"{_CALL}/{name}",
            route,
            methods=["POST"],
            summary=summary,
            responses=answers(*BODY_FAULTS, *faults, *also),
            openapi_extra=described_body(shape),
        )
    for name, bare_route, also, summary in (
        ("hold", calls.hold, (400,), "Put the caller on hold"),
        ("resume", calls.resume, (400,), "Take the caller back from hold"),
        ("hangup", calls.hang_up, (), "End a call"),
    ):
        router.add_api_route(
            f"{_CALL}/{name}",
            bare_route,
            methods=["POST"],
            summary=summary,
            responses=answers(*also, *faults),
        )


async def refuse_secrets(request: Request) -> None:
    """A page that may talk must not read what others of its tenant have said."""
    caller: Any = getattr(request.state, "caller", None)
    if getattr(caller, "session", None) is not None:
        raise Forbidden(
            "A client secret is for holding a call, not for seeing others.",
            hint="Ask with the key itself, from your server.",
        )


class _Calls:
    def __init__(self, host: Host, kept: CallShelf, runs: RunShelf, stall_s: float) -> None:
        self._host = host
        self._kept = kept
        self._runs = runs
        self._stall_s = stall_s

    async def list(
        self,
        request: Request,
        before: Annotated[
            str | None, Query(max_length=100, description="The last call of the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_ON_PAGE)] = PAGE,
        live: Annotated[
            bool | None, Query(description="Only those that are live here, or only the others.")
        ] = None,
    ) -> ShownCalls:
        tenant = tenant_of(request)
        after = await self._cursor(tenant, before) if before else None
        held = {each.call.id: each for each in self._host.live(tenant)}
        found = {each.call.id: CallRecord.of(each.call) for each in held.values()}
        if after is not None:
            found = {key: each for key, each in found.items() if _place(each) > _place(after)}
        if live is not True:
            # Enough for a page even if all that is live is on the shelf, too.
            most = limit + 1 + len(held)
            kept = await self._kept.of(tenant, before=after, limit=most)
            found.update({each.id: each for each in kept})
        rows = sorted(found.values(), key=_place)
        if live is False:
            rows = [row for row in rows if row.id not in held]
        page = [shown(row, held.get(row.id)) for row in rows[:limit]]
        return ShownCalls(
            data=page,
            first_id=page[0].id if page else None,
            last_id=page[-1].id if page else None,
            has_more=len(rows) > limit,
        )

    async def get(self, request: Request, call_id: str) -> ShownCallInFull:
        tenant = tenant_of(request)
        call = await self._shown(tenant, call_id)
        used = await self._kept.tool_uses(tenant, call_id)
        tools = [shown_tool_use(use) for use in used]
        runs = [shown_run(run) for run in await self._runs.of(tenant, RunQuery(call_id=call.id))]
        return ShownCallInFull(**call.model_dump(), tools=tools, tool_runs=runs[::-1])

    async def transcript(self, request: Request, call_id: str) -> ShownTranscript:
        tenant = tenant_of(request)
        call = await self._shown(tenant, call_id)
        turns = await self._kept.turns(tenant, call_id)
        said = [shown_turn(turn) for turn in turns]
        return ShownTranscript(call_id=call.id, status=call.status, data=said)

    async def say(self, request: Request, call_id: str) -> ShownCall:
        body = await self._read(request, Say)
        call = await self._live(tenant_of(request), call_id)
        await call.say(body.text, interrupts=body.interrupt)
        return shown(CallRecord.of(call.call), call)

    async def ask(self, request: Request, call_id: str) -> ShownAnswer:
        body = await self._read(request, Ask)
        call = await self._live(tenant_of(request), call_id)
        text = await call.ask(body.text, timeout_s=body.timeout_s)
        return ShownAnswer(call_id=call_id, text=text)

    async def transfer(self, request: Request, call_id: str) -> ShownCall:
        body = await self._read(request, Transfer)
        call = await self._live(tenant_of(request), call_id)
        await call.transfer(body.target)
        return shown(CallRecord.of(call.call), call)

    async def hold(self, request: Request, call_id: str) -> ShownCall:
        call = await self._live(tenant_of(request), call_id)
        await call.hold()
        return shown(CallRecord.of(call.call), call)

    async def resume(self, request: Request, call_id: str) -> ShownCall:
        call = await self._live(tenant_of(request), call_id)
        await call.resume()
        return shown(CallRecord.of(call.call), call)

    async def send_digits(self, request: Request, call_id: str) -> ShownCall:
        body = await self._read(request, Digits)
        call = await self._live(tenant_of(request), call_id)
        await call.send_digits(body.digits)
        return shown(CallRecord.of(call.call), call)

    async def hang_up(self, request: Request, call_id: str) -> ShownCall:
        call = await self._live(tenant_of(request), call_id)
        call.hang_up()
        return shown(CallRecord.of(call.call), call)

    async def _read(self, request: Request, shape: type[BodyT]) -> BodyT:
        return await read_json(request, shape, most_bytes=MOST_BODY_BYTES, stall_s=self._stall_s)

    async def _shown(self, tenant: str, call_id: str) -> ShownCall:
        if held := self._held(tenant, call_id):
            return shown(CallRecord.of(held.call), held)
        return shown(await self._record(tenant, call_id), None)

    async def _live(self, tenant: str, call_id: str) -> LiveCall:
        if held := self._held(tenant, call_id):
            return held
        call = shown(await self._record(tenant, call_id), None)
        raise CallNotLive(_why_not_live(call_id, call.reason, call.ended_at))

    def _held(self, tenant: str, call_id: str) -> LiveCall | None:
        return next((c for c in self._host.live(tenant) if c.call.id == call_id), None)

    async def _record(self, tenant: str, call_id: str) -> CallRecord:
        record = await self._find(tenant, call_id)
        if record is None:
            raise NotFound(f"There is no call {call_id!r}.", hint="GET /v1/calls lists them.")
        return record

    async def _cursor(self, tenant: str, call_id: str) -> CallRecord:
        if held := self._held(tenant, call_id):
            return CallRecord.of(held.call)
        record = await self._find(tenant, call_id)
        if record is None:
            raise InvalidValue(f"before: there is no call {call_id!r}.", param="before")
        return record

    async def _find(self, tenant: str, call_id: str) -> CallRecord | None:
        # PostgreSQL takes no text with a zero in it.
        return await self._kept.get(tenant, call_id) if call_id.isprintable() else None


def _place(call: CallRecord) -> tuple[float, str]:
    """Newest first; those of the same moment by name."""
    return -call.started_at.timestamp(), call.id


def _why_not_live(call_id: str, reason: str | None, ended_at: datetime | None) -> str:
    if ended_at is None:
        return f"This server does not hold the call {call_id}: another has it, or it was cut off."
    return f"The call {call_id} ended at {ended_at:%Y-%m-%d %H:%M:%S} UTC ({reason})."
