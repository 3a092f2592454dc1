"""``/v1/tools/runs``: what tools did, and where those at work answer later or tell how it goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, cast

from fastapi import APIRouter, Depends, Query, Request
from fastapi.security.base import SecurityBase
from pydantic import ValidationError

from parley.access.guard import Require
from parley.api.errors import bad_field
from parley.api.openai.bodies import described_body, read_body, tenant_of
from parley.api.tool_runs_bodies import (
    ProgressBody,
    RunAnswerBody,
    ShownDelivery,
    ShownToolRun,
    ShownToolRuns,
    shown_run,
)
from parley.core.answers import BODY_FAULTS, answers
from parley.core.errors import BadRequest, BadSignature, InvalidValue, NotFound
from parley.store.records import ANY_RUN, RunQuery, RunState, ToolRunRecord
from parley.tools.runs import Delivered, ToolRun
from parley.tools.webhook.signing import HEADER, ToolSecrets, verify

MOST_BODY_BYTES = 1024 * 1024
PAGE, MOST_ON_PAGE = 20, 100
_RUNS = "/v1/tools/runs"
_RUN = f"{_RUNS}/{{run_id}}"


class Runs(Protocol):
    """The runs that calls wait for: ``tools.runs.ToolRuns``."""

    async def find(self, run_id: str) -> ToolRun: ...

    async def answer(self, run_id: str, body: object) -> Delivered: ...

    async def progress(self, run_id: str, say: str, mark: str = "") -> Delivered: ...


class RunShelf(Protocol):
    """Where runs are kept: ``store.tool_runs``."""

    async def get(self, run_id: str) -> ToolRunRecord | None: ...

    async def of(
        self,
        tenant: str,
        wanted: RunQuery = ANY_RUN,
        *,
        before: ToolRunRecord | None = None,
        limit: int = PAGE,
    ) -> Sequence[ToolRunRecord]: ...


class KeyOrSignature(SecurityBase):
    """Asks for a key, unless the request is signed: then the route checks the signature, for
    which it needs the body."""

    def __init__(self, require: Require) -> None:
        self._require = require
        self.model = require.model
        self.scheme_name = require.scheme_name

    async def __call__(self, request: Request) -> None:
        if HEADER not in request.headers:
            await self._require(request)


def tool_runs_router(
    runs: Runs, kept: RunShelf, secrets: ToolSecrets, guard: Require, *, stall_s: float
) -> APIRouter:
    """``GET /v1/tools/runs[/{id}]`` and ``POST /v1/tools/runs/{id}/`` answer and progress."""
    desk = _ToolRuns(runs, kept, secrets, stall_s)
    router = APIRouter(tags=["tools"])
    for path, view, faults, summary in (
        (_RUNS, desk.list, (400, 503), "List what tools did, newest first"),
        (_RUN, desk.get, (404, 503), "See what a tool did"),
    ):
        router.add_api_route(
            path,
            view,
            methods=["GET"],
            summary=summary,
            responses=answers(*faults),
            dependencies=[Depends(guard)],
        )
    for name, route, shape, summary in (
        ("answer", desk.answer, RunAnswerBody, "Answer for a tool that said it would later"),
        ("progress", desk.progress, ProgressBody, "Tell the caller that a tool is still at work"),
    ):
        router.add_api_route(
            f"{_RUN}/{name}",
            route,
            methods=["POST"],
            summary=summary,
            responses=answers(*BODY_FAULTS, 401, 404, 503),
            dependencies=[Depends(KeyOrSignature(guard))],
            openapi_extra=described_body(shape),
        )
    return router


class _ToolRuns:
    def __init__(self, runs: Runs, kept: RunShelf, secrets: ToolSecrets, stall_s: float) -> None:
        self._runs = runs
        self._kept = kept
        self._secrets = secrets
        self._stall_s = stall_s

    async def list(
        self,
        request: Request,
        call_id: Annotated[str, Query(max_length=100, description="Only that call's.")] = "",
        tool: Annotated[str, Query(max_length=200, description="Only that tool's.")] = "",
        state: Annotated[RunState | None, Query(description="Only those in that state.")] = None,
        before: Annotated[
            str | None, Query(max_length=100, description="The last run of the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_ON_PAGE)] = PAGE,
    ) -> ShownToolRuns:
        tenant = tenant_of(request)
        wanted = RunQuery(_searched("call_id", call_id), _searched("tool", tool), state or "")
        after = await self._record(tenant, before) if before else None
        if before and after is None:
            raise InvalidValue(f"before: there is no tool run {before!r}.", param="before")
        found = await self._kept.of(tenant, wanted, before=after, limit=limit + 1)
        page = [shown_run(run) for run in found[:limit]]
        return ShownToolRuns(
            data=page,
            first_id=page[0].id if page else None,
            last_id=page[-1].id if page else None,
            has_more=len(found) > limit,
        )

    async def get(self, request: Request, run_id: str) -> ShownToolRun:
        run = await self._record(tenant_of(request), run_id)
        if run is None:
            raise NotFound(
                f"There is no tool run {run_id!r}.", hint="GET /v1/tools/runs lists them."
            )
        return shown_run(run)

    async def answer(self, request: Request, run_id: str) -> ShownDelivery:
        """What it answers with reaches the call once: ``delivered`` says whether this was it."""
        message = await self._authentic(request, run_id)
        delivered = await self._runs.answer(run_id, message.said)
        return ShownDelivery(run_id=run_id, delivered=delivered)

    async def progress(self, request: Request, run_id: str) -> ShownDelivery:
        """The sentence is spoken when there is a good moment for it."""
        message = await self._authentic(request, run_id)
        told = _read(ProgressBody, message.said)
        delivered = await self._runs.progress(run_id, told.say, message.mark)
        return ShownDelivery(run_id=run_id, delivered=delivered)

    async def _authentic(self, request: Request, run_id: str) -> _Message:
        """What it says, if it comes from who may send it: with a key of the run's tenant, or
        signed with the secret of whose tool it is, for this very run."""
        body = await read_body(request, most_bytes=MOST_BODY_BYTES, stall_s=self._stall_s)
        run = await self._runs.find(run_id) if run_id.isprintable() else None
        signature = request.headers.get(HEADER)
        mark = ""
        if run is not None and signature is not None:
            mark = verify(await self._secrets.secret_for(run.owner), signature, body)
        elif run is None or run.tenant != tenant_of(request):
            raise NotFound(f"There is no tool run {run_id!r}.")
        message = _Message(_json(body), mark)
        message.require_run(run_id)
        return message

    async def _record(self, tenant: str, run_id: str) -> ToolRunRecord | None:
        # PostgreSQL takes no text with a zero in it.
        run = await self._kept.get(run_id) if run_id.isprintable() else None
        return run if run is not None and run.tenant == tenant else None


@dataclass(frozen=True, slots=True)
class _Message:
    """What a tool sends of its own accord: JSON, and the signature's mark where it is signed."""

    said: Any
    mark: str

    def require_run(self, run_id: str) -> None:
        """What was signed for one run must do nothing to another, and a path isn't signed."""
        fields = cast("dict[str, Any]", self.said) if isinstance(self.said, dict) else {}
        named = fields.get("run_id")
        if named == run_id or (named is None and not self.mark):
            return
        if self.mark:
            raise BadSignature(
                "What was signed names another run, or none.",
                param="run_id",
                hint=f'Put "run_id": "{run_id}" into the body that you sign.',
            )
        raise BadRequest("The body is for another run than the path.", param="run_id")


def _searched(name: str, text: str) -> str:
    if not text.isprintable():
        raise InvalidValue(f"{name}: there are signs in it that no name has.", param=name)
    return text


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is no JSON.", hint="Send an object: {…}.") from error


def _read(shape: type[ProgressBody], said: object) -> ProgressBody:
    try:
        return shape.model_validate(said)
    except ValidationError as error:
        raise bad_field(error.errors(include_url=False)[0]) from error
