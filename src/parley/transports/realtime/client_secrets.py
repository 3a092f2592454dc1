"""``POST /v1/realtime/client_secrets``: a short-lived secret for a browser, session included."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from parley.access.client_secrets import DEFAULT_S, LEAST_S, MOST_S, ClientSecrets
from parley.access.guard import caller_of
from parley.core.answers import ENGINE_FAULTS, answers, body_of
from parley.transports.realtime.admission import Reception
from parley.transports.realtime.bodies import JSON, read_body, read_object
from parley.transports.realtime.line import FindVoice
from parley.transports.realtime.session_form import fault_of
from parley.transports.realtime.socket import Guard
from parley.transports.realtime.wire import Fault, as_bad_request

PATH = "/v1/realtime/client_secrets"


class ExpiresAfter(BaseModel):
    """How long the secret is good, from now on. Sessions that it began outlive it."""

    model_config = ConfigDict(extra="ignore")

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(default=DEFAULT_S, ge=LEAST_S, le=MOST_S)


class SecretWish(BaseModel):
    """What is asked for: how long it lives, and how sessions with it begin."""

    model_config = ConfigDict(extra="ignore")

    expires_after: ExpiresAfter | None = None
    session: dict[str, Any] | None = None


class Secret(BaseModel):
    """The secret and the session that it begins."""

    value: str = Field(examples=["ek_4f…"])
    expires_at: int
    session: dict[str, Any]


def client_secrets_router(
    reception: Reception, secrets: ClientSecrets, guard: Guard, find_voice: FindVoice
) -> APIRouter:
    """The route. ``guard`` says who is asking, or raises."""
    router = APIRouter(tags=["realtime"])
    router.add_api_route(
        PATH,
        _Desk(reception, secrets, find_voice).issue,
        methods=["POST"],
        dependencies=[Depends(guard)],
        summary="Make a client secret",
        responses=answers(400, 404, 408, 413, *ENGINE_FAULTS, ok=Secret),
        openapi_extra=body_of({JSON: SecretWish.model_json_schema()}, is_required=False),
    )
    return router


class _Desk:
    def __init__(self, reception: Reception, secrets: ClientSecrets, find_voice: FindVoice) -> None:
        self._reception = reception
        self._secrets = secrets
        self._find_voice = find_voice

    async def issue(self, request: Request) -> JSONResponse:
        """For browsers, which never see the key: the secret begins any number of sessions, over
        WebRTC or a WebSocket, until it expires."""
        wish = _read(await read_body(request))
        session = wish.session or {}
        model = str(session.get("model") or "")
        caller = caller_of(request)
        try:
            config = self._reception.config_of(model, session, caller.tenant)
        except Fault as fault:
            raise as_bad_request(fault) from fault
        voice = config.form.audio.output.voice
        agent = self._reception.agent_of(model, caller.tenant)
        if voice and voice != agent.voice:
            await self._find_voice(agent, voice, caller.tenant)
        lifetime_s = (wish.expires_after or ExpiresAfter()).seconds
        secret = self._secrets.issue(caller, session, lifetime_s=lifetime_s)
        expires_at = int(secret.expires_at.timestamp())
        shown = config.shown() | {"expires_at": expires_at}
        return JSONResponse({"value": secret.value, "expires_at": expires_at, "session": shown})


def _read(body: bytes) -> SecretWish:
    fields = read_object(body) if body.strip() else {}
    try:
        return SecretWish.model_validate(fields)
    except ValidationError as error:
        raise as_bad_request(fault_of(error, "", fields)) from error
