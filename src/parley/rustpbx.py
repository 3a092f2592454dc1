"""RustPBX's own port, put together: its options, its engines, its application."""

from __future__ import annotations

from fastapi import FastAPI

from parley.access.headers import RateHeaders
from parley.api.cors import Cors
from parley.api.request_id import RequestIds
from parley.api.unknown_sockets import answer_unknown_sockets
from parley.api.unread_bodies import UnreadBodies
from parley.engines.spec import Kind
from parley.session.preference import Preference, PreferringHost
from parley.settings import Settings
from parley.transports.rustpbx.door import PATH
from parley.transports.rustpbx.listener import listener_web
from parley.web import Rooms, pbx_sockets


def rustpbx_preference(settings: Settings) -> Preference:
    """Deepgram and OpenAI come first where their keys are set, as on the older media server."""
    first: dict[Kind, str] = {}
    if settings.opens_rustpbx and settings.deepgram_api_key:
        first |= {"stt": "deepgram", "tts": "deepgram"}
    if settings.opens_rustpbx and settings.openai_api_key:
        first |= {"llm": "openai"}
    return Preference(first, by="the RustPBX listener")


def build_rustpbx(rooms: Rooms, preference: Preference) -> FastAPI:
    """The application of that port. The rooms are those of the main port, too."""
    guard = rooms.access.rustpbx_guard
    host = PreferringHost(rooms.host, preference)
    web = listener_web(
        rooms.call_rooms,
        rooms.desk,
        rooms.host,
        guard.require("calls"),
        pbx_sockets(rooms, host, guard, (PATH, "/")),
        stall_s=rooms.settings.stall_s,
    )
    answer_unknown_sockets(web)
    web.add_middleware(RateHeaders)
    web.add_middleware(UnreadBodies)
    web.add_middleware(Cors, origins=rooms.access.origins)
    web.add_middleware(RequestIds)
    return web
