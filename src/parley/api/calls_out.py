"""``POST /v1/calls``: have an agent call somebody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol, runtime_checkable

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from parley.api.calls import MOST_BODY_BYTES, refuse_secrets
from parley.api.calls_bodies import LONGEST_TEXT, ShownCall, Target, shown
from parley.api.openai.bodies import described_body, read_json, tenant_of
from parley.api.openai.engines import Guard
from parley.core.answers import BODY_FAULTS, answers
from parley.core.call import CallInfo
from parley.core.errors import NotSupported
from parley.core.spelling import LINE, Spelling
from parley.session.dialling import Dial, OnMachine, Opening
from parley.session.live_call import LiveCall
from parley.store.records import CallRecord

MOST_HEADERS = 20

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_TEXT)]
# Others would be ours to answer for: who calls, by which way, with which password.
HeaderName = Annotated[
    str, Spelling(r"[Xx]-[A-Za-z0-9-]{1,60}", "X- and up to 60 letters, digits and - behind it")
]
HeaderValue = Annotated[str, StringConstraints(max_length=500), LINE]
Line = Annotated[str, StringConstraints(max_length=200), LINE]


class CallOut(BaseModel):
    """Whom to call, and what is done then."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    to: Annotated[Target, Field(description="sip:…, sips:… or tel:…, which needs a PBX or trunk.")]
    agent: Annotated[Line, Field(description="Who talks; else the default agent.")] = ""
    caller: Annotated[
        Line, Field(alias="from", description="As whom to call: a sip: or tel: URI.")
    ] = ""
    caller_name: Annotated[Line, Field(alias="from_name", description="The name beside it.")] = ""
    headers: Annotated[
        dict[HeaderName, HeaderValue],
        Field(max_length=MOST_HEADERS, description="X-… headers for the INVITE."),
    ] = {}
    ring_timeout_s: Annotated[
        float, Field(ge=1, le=180, description="How long to let it ring.")
    ] = 45.0
    greeting: Annotated[Words, Field(description="The first words; else the agent's own.")] = ""
    answering_machine: Annotated[
        OnMachine,
        Field(
            description="What to do when a machine answers; ignore doesn't listen for one, and "
            "the agent speaks at once."
        ),
    ] = "ignore"
    message: Annotated[Words, Field(description="What a machine is told; else the greeting.")] = ""


@runtime_checkable
class Dialler(Protocol):
    """Who calls: ``Telephone`` does."""

    async def dial(self, wish: Dial) -> CallInfo: ...


class Host(Protocol):
    """Who holds the live calls: ``SessionHost`` does."""

    def live(self, tenant: str) -> Sequence[LiveCall]: ...


def calls_out_router(
    dialler: Dialler | None, host: Host, guard: Guard, *, stall_s: float
) -> APIRouter:
    """``dialler`` is None where there is no telephone."""
    router = APIRouter(tags=["calls"], dependencies=[Depends(guard), Depends(refuse_secrets)])
    router.add_api_route(
        "/v1/calls",
        _CallsOut(dialler, host, stall_s).call,
        methods=["POST"],
        status_code=201,
        summary="Call somebody",
        responses=answers(*BODY_FAULTS, 404, 503),
        openapi_extra=described_body(CallOut),
    )
    return router


class _CallsOut:
    def __init__(self, dialler: Dialler | None, host: Host, stall_s: float) -> None:
        self._dialler = dialler
        self._host = host
        self._stall_s = stall_s

    async def call(self, request: Request) -> ShownCall:
        body = await read_json(request, CallOut, most_bytes=MOST_BODY_BYTES, stall_s=self._stall_s)
        if self._dialler is None:
            raise NotSupported(
                "This server has no telephone.", hint="Start it with PARLEY_SIP=true."
            )
        tenant = tenant_of(request)
        call = await self._dialler.dial(
            Dial(
                target=body.to,
                tenant=tenant,
                agent=body.agent,
                caller=body.caller,
                caller_name=body.caller_name,
                headers=body.headers,
                ring_limit_s=body.ring_timeout_s,
                opening=Opening(body.answering_machine, body.greeting, body.message),
            )
        )
        held = next((each for each in self._host.live(tenant) if each.call.id == call.id), None)
        return shown(CallRecord.of(call), held)
