"""``/v1/realtime/calls``: the Realtime protocol over WebRTC, and what may be done to a call."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from parley.access.caller import Caller
from parley.access.guard import caller_of
from parley.core.answers import answers, body_of, text
from parley.core.errors import NotSupported
from parley.core.log import get_logger
from parley.transports.realtime.admission import Begun, Reception
from parley.transports.realtime.bodies import FORM, SDP, read_call
from parley.transports.realtime.channel_media import ChannelMedia
from parley.transports.realtime.exchange import Exchange
from parley.transports.realtime.line import FindVoice
from parley.transports.realtime.talk import Talk
from parley.transports.realtime.wire import Fault, as_bad_request, new_id
from parley.transports.webrtc.options import WebRtcOptions
from parley.transports.webrtc.peers import answer_of, open_libopus
from parley.transports.webrtc.signalling import Doors

log = get_logger(__name__)

CALLS = "/v1/realtime/calls"
_CALL = f"{CALLS}/{{call_id}}"
_FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "sdp": {"type": "string", "contentMediaType": SDP},
        "session": {"type": "object", "description": "How the session is to begin."},
    },
    "required": ["sdp"],
}
_FOR_TELEPHONES = (
    ("accept", "Take a telephone call"),
    ("reject", "Refuse a telephone call"),
    ("refer", "Hand a telephone call on"),
)


def calls_router(
    reception: Reception,
    exchange: Exchange,
    doors: Doors,
    find_voice: FindVoice,
    options: WebRtcOptions,
) -> APIRouter:
    """The routes. ``doors`` say who is asking: one of them for offers."""
    calls = _Calls(reception, exchange, find_voice, options)
    router = APIRouter(tags=["realtime"])
    router.add_api_route(
        CALLS,
        calls.create,
        methods=["POST"],
        dependencies=[Depends(doors.offer)],
        status_code=201,
        summary="Begin a spoken conversation over WebRTC",
        responses=answers(400, 404, 408, 413, 415, 503, ok=text(SDP), status=201),
        openapi_extra=body_of({SDP: {"type": "string"}, FORM: _FORM_SCHEMA}),
    )
    other = [Depends(doors.other)]
    router.add_api_route(
        f"{_CALL}/hangup",
        calls.hang_up,
        methods=["POST"],
        dependencies=other,
        response_class=Response,
        summary="End a call",
        responses=answers(404),
    )
    for verb, summary in _FOR_TELEPHONES:
        router.add_api_route(
            f"{_CALL}/{verb}",
            calls.refuse,
            methods=["POST"],
            dependencies=other,
            response_class=Response,
            summary=summary,
            responses=answers(400, 404),
        )
    return router


class _Calls:
    def __init__(
        self,
        reception: Reception,
        exchange: Exchange,
        find_voice: FindVoice,
        options: WebRtcOptions,
    ) -> None:
        self._reception = reception
        self._exchange = exchange
        self._find_voice = find_voice
        self._options = options
        self._libopus = open_libopus() if options.opus_path else None

    async def create(self, request: Request) -> Response:
        """Answer an offer: the whole answer, with all candidates, as `application/sdp`.

        The offer has an audio track and a data channel, `oai-events`, over which the events go.
        `Location` names the call.
        """
        form = await read_call(request)
        call_id = new_id("rtc")
        model = request.query_params.get("model", "")
        try:
            begun = await self._reception.admit(request, model, form.session, call_id)
        except Fault as fault:
            raise as_bad_request(fault) from fault
        answer = await self._begin(begun, form.sdp, caller_of(request))
        return Response(answer, 201, {"Location": f"{CALLS}/{call_id}"}, SDP)

    async def _begin(self, begun: Begun, sdp: str, caller: Caller) -> str:
        place = begun.place
        call_id = place.call.id
        media = ChannelMedia(
            self._options,
            self._libopus,
            call_id=call_id,
            on_over=partial(self._exchange.forget, call_id),
        )
        talk = Talk(media, place.agent, begun.config, self._find_voice, begun.open_account)
        media.carry(talk)
        connection = media.new_connection()
        try:
            await connection.initialize(sdp, "offer")
            media.adopt(connection)
            talk.greet()
            media.hand_over(self._reception.host.start(place, media, begun.terms))
        except BaseException:
            await connection.close()
            await media.hang_up("error")
            place.release()
            raise
        self._exchange.add(media, caller)
        return answer_of(connection)["sdp"]

    async def hang_up(self, request: Request, call_id: str) -> Response:
        """End the call at once. Bodies are ignored."""
        self._exchange.find(call_id, caller_of(request)).leave("caller")
        return Response()

    async def refuse(self, request: Request, call_id: str) -> Response:
        """For telephone calls only; a call over WebRTC is answered when it begins."""
        self._exchange.find(call_id, caller_of(request))
        raise NotSupported(
            "This call came over WebRTC: it was accepted when it began, and can't be rejected or "
            "referred.",
            hint=f"End it with POST {CALLS}/{call_id}/hangup.",
        )
