"""The HTTP side of a browser's call: offer and answer, trickled candidates, ICE servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pipecat.transports.smallwebrtc.request_handler import (
    IceCandidate,
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
)
from pydantic import BaseModel, ValidationError

from parley.core.answers import answers, body_of
from parley.core.call import DEFAULT_TENANT, CallInfo
from parley.core.errors import BadOffer, NotFound, UploadStalled
from parley.session.media import CallMedia
from parley.settings import Settings
from parley.transports.webrtc.bodies import (
    CallWish,
    IceServers,
    OfferAnswer,
    OfferBody,
    PatchBody,
    Taken,
)
from parley.transports.webrtc.options import WebRtcOptions
from parley.transports.webrtc.peers import Peer, Peers
from parley.transports.webrtc.sdp import MAX_SDP_BYTES, read_candidate, ufrag_of

BodyT = TypeVar("BodyT", bound=BaseModel)

COOKIE = "parley_peer"
MAX_BODY_BYTES = 2 * MAX_SDP_BYTES
BODY_S = 20.0
"""How long a body may take to come."""

_JSON = "application/json"


class Host(Protocol):
    """What the signalling needs of the session: ``SessionHost`` is one."""

    def admit(self, call: CallInfo) -> Any:
        """Take a place, or raise ``Refused`` or ``NotFound``. It can ``reserve`` and
        ``release``."""
        ...

    def start(self, place: Any, media: CallMedia) -> Any: ...


@dataclass(frozen=True)
class Doors:
    """FastAPI dependencies that let a caller pass and leave in ``request.state.caller`` who it is:
    one for offers, which have a rate limit of their own, and one for the rest."""

    offer: Callable[..., Any]
    other: Callable[..., Any]


async def _nobody_asks() -> None:
    """The door of a house without keys."""


OPEN_DOORS = Doors(_nobody_asks, _nobody_asks)


def webrtc_router(host: Host, settings: Settings, doors: Doors = OPEN_DOORS) -> APIRouter:
    """The browser's way in, as the settings want it."""
    return signalling_router(host, Peers(WebRtcOptions.from_settings(settings)), doors)


def signalling_router(host: Host, peers: Peers, doors: Doors = OPEN_DOORS) -> APIRouter:
    """The routes. Errors are raised; the app gives them their form."""
    router = APIRouter(tags=["webrtc"])
    routes = _Signalling(peers, host)
    offer, other = [Depends(doors.offer)], [Depends(doors.other)]
    router.add_api_route(
        "/api/offer",
        routes.offer,
        methods=["POST"],
        dependencies=offer,
        summary="Begin a call, or carry one on",
        responses=answers(400, 404, 408, 503, 504, ok=OfferAnswer),
        openapi_extra=body_of({_JSON: OfferBody.model_json_schema()}),
    )
    for path in ("/api/offer", "/api/patch"):
        router.add_api_route(
            path,
            routes.patch,
            methods=["PATCH"],
            dependencies=other,
            summary="Tell candidates that were found after the offer",
            responses=answers(400, 404, 408, ok=Taken),
            openapi_extra=body_of({_JSON: PatchBody.model_json_schema()}),
        )
    router.add_api_route(
        "/api/ice-servers",
        routes.ice_servers,
        methods=["GET"],
        dependencies=other,
        summary="List STUN and TURN servers",
        responses=answers(ok=IceServers),
    )
    return router


def _owner(request: Request) -> tuple[str, str]:
    """Tenant and key of whoever is asking."""
    caller: Any = getattr(request.state, "caller", None)
    return (caller.tenant, caller.key_id or "") if caller else (DEFAULT_TENANT, "")


class _Signalling:
    def __init__(self, peers: Peers, host: Host) -> None:
        self._peers = peers
        self._host = host

    async def offer(self, request: Request) -> Response:
        """Answer an offer and start a call, or carry one on (``pc_id``)."""
        body = await _read(request, OfferBody)
        if body.type != "offer":
            raise BadOffer(f"The type is {body.type!r}.", hint='It must be "offer".', param="type")
        owner = _owner(request)
        peer = self._peers.find(pc_id=body.pc_id) if body.pc_id else None
        _require_owner(peer, owner)
        wish = body.request_data or CallWish()
        caller = request.client.host if request.client else ""
        call = CallInfo(
            agent=wish.agent,
            voice=wish.voice,
            transport="webrtc",
            caller=caller,
            tenant=owner[0],
        )
        asked = SmallWebRTCRequest(body.sdp, body.type, body.pc_id, body.restart_pc)
        if peer is None:
            answer = await self._new_call(asked, call)
        else:
            answer = await self._peers.handle_web_request(asked, _nobody_new)
        peer = self._peers.find(pc_id=answer["pc_id"])
        if peer is None:
            raise NotFound("The call ended before it was answered.", hint="Start a new one.")
        peer.owner = owner
        response = JSONResponse({**answer, "session_id": peer.media.call_id})
        response.set_cookie(
            COOKIE,
            peer.cookie,
            path="/api",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def _new_call(self, asked: SmallWebRTCRequest, call: CallInfo) -> dict[str, str]:
        place = self._host.admit(call)
        start = partial(self._start, place)
        try:
            await place.reserve()
            return await self._peers.handle_web_request(asked, start, call.id)
        except BaseException:
            place.release()
            raise

    async def _start(self, place: Any, peer: Peer) -> None:
        self._host.start(place, peer.media)

    async def patch(self, request: Request) -> Response:
        """Take candidates that the browser found after its offer."""
        body = await _read(request, PatchBody)
        found = body.all()
        if not found and not body.pc_id:
            raise BadOffer(
                "There is no candidate in the body.",
                hint="Send {pc_id, candidates: […]} or {candidate: {…}}.",
            )
        for each in found:
            read_candidate(each.candidate, each.sdp_mid, each.sdp_mline_index)
        first = found[0] if found else None
        peer = self._peers.find(
            pc_id=body.pc_id or "",
            ufrag=(first.ufrag or ufrag_of(first.candidate)) if first else "",
            cookie=request.cookies.get(COOKIE, ""),
        )
        _require_owner(peer, _owner(request))
        connection = peer.media.connection if peer else None
        if connection is None:
            raise NotFound("No live call has this connection.", hint="Send a new offer.")
        candidates = [
            # Pipecat's class says that the section's name and number are never absent.
            IceCandidate(
                each.candidate.strip().removeprefix("candidate:"),
                each.sdp_mid or "",
                each.sdp_mline_index or 0,
            )
            for each in found
        ]
        await self._peers.handle_patch_request(
            SmallWebRTCPatchRequest(connection.pc_id, candidates)
        )
        return JSONResponse({"status": "success"})

    async def ice_servers(self) -> Response:
        """The STUN and TURN servers that the page is to use."""
        servers = [server.to_dict() for server in self._peers.options.ice_servers]
        return JSONResponse({"iceServers": servers})


def _require_owner(peer: Peer | None, owner: tuple[str, str]) -> None:
    """Another key's call is as good as none: who guesses its name learns nothing."""
    if peer is not None and peer.owner not in (None, owner):
        raise NotFound("No live call has this connection.", hint="Send a new offer.")


async def _nobody_new(_: Any) -> None:
    """For an offer of a caller who is here already."""


async def _read(request: Request, form: type[BodyT]) -> BodyT:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    raise BadOffer(f"The body is longer than {MAX_BODY_BYTES} bytes.")
    except TimeoutError as error:
        raise UploadStalled(f"The body took longer than {BODY_S:g} s.") from error
    try:
        return form.model_validate(json.loads(body))
    except ValidationError as error:
        raise _as_bad_offer(error) from error
    except (ValueError, RecursionError) as error:
        raise BadOffer("The body isn't JSON.", hint="Send a JSON object.") from error


def _as_bad_offer(error: ValidationError) -> BadOffer:
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"]))
    return BadOffer(f"{field or 'The body'}: {first['msg']}.", param=field or None)
