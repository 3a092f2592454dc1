"""Every route of the main port and who may use it, on one screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from fastapi import APIRouter, Depends, FastAPI

from parley import __version__
from parley.access.guard import Guard
from parley.access.headers import RateHeaders
from parley.access.opening import Access
from parley.agents.catalog import AgentCatalog
from parley.agents.check import Installed
from parley.agents.reading import AgentDefaults
from parley.agents.schema import Agent
from parley.api.agents import agents_router
from parley.api.body_room import BodyRoom
from parley.api.calls import CallShelf, calls_router
from parley.api.calls_out import Dialler, calls_out_router
from parley.api.catalogue import catalogue_router
from parley.api.cors import Cors
from parley.api.errors import install_error_handlers
from parley.api.health import Part, health_router
from parley.api.openai.audio_metering import LedgerAudioMeter
from parley.api.openai.chat import chat_router
from parley.api.openai.chat_audio import ChatAudio
from parley.api.openai.chat_directory import ChatDirectory
from parley.api.openai.chat_metering import LedgerMeter
from parley.api.openai.engines import CatalogDesk
from parley.api.openai.models import models_router
from parley.api.openai.models_list import ModelList
from parley.api.openai.responses import responses_router
from parley.api.openai.speech import speech_router
from parley.api.openai.timestamps import timestamps_router
from parley.api.openai.transcriptions import AudioLimits, transcription_router
from parley.api.openai.uploads import UploadLimits
from parley.api.openai.voices import local_voice, voices_router
from parley.api.openapi import TITLE, document_router, operation_id
from parley.api.request_id import RequestIds
from parley.api.tool_runs import tool_runs_router
from parley.api.unread_bodies import UnreadBodies
from parley.api.webhooks import webhooks_router
from parley.console.pages import console_router
from parley.engines.catalog import EngineCatalog
from parley.engines.shelf import ModelShelf
from parley.engines.spec import Kind
from parley.engines.wish import Wishes, read_wishes
from parley.session.desk import Desk
from parley.session.host import SessionHost
from parley.session.turn_runner import TurnRunner
from parley.session.turns import Listening
from parley.settings import Settings
from parley.tool_room import ToolRoom
from parley.tools.catalog import ToolCatalog
from parley.transports.pcm.socket import pcm_router
from parley.transports.realtime.admission import Reception
from parley.transports.realtime.calls import calls_router as realtime_calls_router
from parley.transports.realtime.client_secrets import client_secrets_router
from parley.transports.realtime.exchange import Exchange
from parley.transports.realtime.socket import socket_router
from parley.transports.rustpbx.door import PATH as RUSTPBX_PATH
from parley.transports.rustpbx.door import TOKEN, RustPbxDoor
from parley.transports.rustpbx.lines import Host as PbxHost
from parley.transports.rustpbx.lines import PbxLines
from parley.transports.rustpbx.options import RustPbxOptions
from parley.transports.rustpbx.rooms import Rooms as CallRooms
from parley.transports.webrtc.options import WebRtcOptions
from parley.transports.webrtc.signalling import Doors, webrtc_router
from parley.transports.wheel import Wheel

MIB = 1024 * 1024


@dataclass(frozen=True)
class Rooms:
    """What the routes reach."""

    settings: Settings
    agents: AgentCatalog
    catalog: EngineCatalog
    tools: ToolCatalog
    desk: Desk
    host: SessionHost
    listening: Listening
    runner: TurnRunner
    access: Access
    calls: CallShelf
    tool_room: ToolRoom
    wheel: Wheel
    """When each call's sound goes out."""
    parts: Mapping[str, Part] = field(default_factory=dict[str, Part])
    """What ``/health`` checks besides the engines."""
    dialler: Dialler | None = None
    """Who calls people; None without a telephone."""
    call_rooms: CallRooms = field(default_factory=CallRooms)
    """RustPBX's, on both ports."""

    @cached_property
    def pbx_lines(self) -> PbxLines:
        """The lines of PBXes, on both ports."""
        return PbxLines(_rustpbx_options(self.settings))


def build_web(rooms: Rooms) -> FastAPI:
    """The web application. Open to everybody are the pages and the two probes."""
    web = FastAPI(
        title=TITLE,
        version=__version__,
        openapi_url=None,
        generate_unique_id_function=operation_id,
    )
    install_error_handlers(web)
    guard = rooms.access.guard
    web.include_router(document_router(web, guard.require()))
    calls = guard.require("calls")
    web.include_router(
        health_router(rooms.desk, rooms.host, see_engines=guard.require(), parts=rooms.parts)
    )
    web.include_router(agents_router(rooms.desk), dependencies=[Depends(calls)])
    doors = Doors(guard.require("calls", offer=True), calls)
    web.include_router(webrtc_router(rooms.host, rooms.settings, doors))
    _include_openai(web, rooms)
    _include_catalogue(web, rooms)
    _include_calls(web, rooms)
    _include_tools(web, rooms)
    _include_realtime(web, rooms)
    _include_rustpbx(web, rooms)
    web.include_router(console_router())
    web.add_middleware(BodyRoom)
    web.add_middleware(RateHeaders)
    web.add_middleware(UnreadBodies)
    web.add_middleware(Cors, origins=rooms.access.origins)
    # The last one is the outermost: every answer has its number.
    web.add_middleware(RequestIds)
    return web


def _include_openai(web: FastAPI, rooms: Rooms) -> None:
    audio = CatalogDesk(rooms.catalog, _Wishes(rooms.agents))
    _include_sound(web, rooms, audio)
    _include_words(web, rooms, audio)


def _include_sound(web: FastAPI, rooms: Rooms, audio: CatalogDesk) -> None:
    settings, guard, vad = rooms.settings, rooms.access.guard, rooms.listening.vad
    upload = UploadLimits(settings.max_upload_mb * MIB, settings.stall_s)
    limits = AudioLimits(upload, settings.max_audio_minutes * 60)
    meter = LedgerAudioMeter(rooms.access.ledger)
    speech, transcribe = guard.require("speech"), guard.require("transcribe")
    web.include_router(speech_router(audio, speech, stall_s=settings.stall_s, meter=meter))
    web.include_router(voices_router(audio, speech))
    web.include_router(transcription_router(audio, vad, transcribe, limits, meter=meter))
    web.include_router(timestamps_router(vad, transcribe, limits))


def _include_words(web: FastAPI, rooms: Rooms, audio: CatalogDesk) -> None:
    settings, guard, catalog = rooms.settings, rooms.access.guard, rooms.catalog
    found, values, aliases = catalog.found, catalog.values, settings.model_aliases
    shelf = ModelShelf(found, values, is_offline=settings.offline)
    listed = ModelList(rooms.agents, found, values, shelf, catalog.rows, aliases=aliases)
    usual = read_wishes(settings.llm, by="PARLEY_LLM")
    directory = ChatDirectory(
        catalog, rooms.agents, rooms.runner, listed, usual=usual, aliases=aliases
    )
    if catalog.fetcher is not None:
        catalog.fetcher.when_one_arrives(directory.choose_again)
    chat, meter = guard.require("chat"), LedgerMeter(rooms.access.ledger)
    most_bytes, stall_s = settings.max_upload_mb * MIB, settings.stall_s
    sound = ChatAudio(audio, audio)
    web.include_router(
        chat_router(
            directory, chat, meter=meter, audio=sound, most_bytes=most_bytes, stall_s=stall_s
        )
    )
    web.include_router(
        responses_router(directory, chat, meter=meter, most_bytes=most_bytes, stall_s=stall_s)
    )
    see, change = guard.require(), guard.require("models")
    web.include_router(
        models_router(listed, shelf, catalog, see, change, may_fetch=not settings.offline)
    )


def _include_catalogue(web: FastAPI, rooms: Rooms) -> None:
    guard = rooms.access.guard
    web.include_router(
        catalogue_router(
            rooms.agents,
            rooms.tools,
            AgentDefaults.from_settings(rooms.settings),
            # What anybody sends to be checked must start no program and connect to nothing.
            Installed(rooms.catalog.found, ToolCatalog()),
            see_agents=guard.require("agents"),
            see_tools=guard.require("tools"),
            stall_s=rooms.settings.stall_s,
        )
    )


def _include_calls(web: FastAPI, rooms: Rooms) -> None:
    guard, stall_s = rooms.access.guard, rooms.settings.stall_s
    web.include_router(
        calls_router(
            rooms.host,
            rooms.calls,
            rooms.tool_room.store.tool_runs,
            guard.require("calls"),
            stall_s=stall_s,
        )
    )
    web.include_router(
        calls_out_router(rooms.dialler, rooms.host, guard.require("outbound"), stall_s=stall_s)
    )


def _include_tools(web: FastAPI, rooms: Rooms) -> None:
    guard, stall_s, room = rooms.access.guard, rooms.settings.stall_s, rooms.tool_room
    house, store = room.house, room.store
    may_see = guard.require("tools")
    web.include_router(
        tool_runs_router(house.runs, store.tool_runs, house.secrets, may_see, stall_s=stall_s)
    )
    web.include_router(
        webhooks_router(
            store.webhooks,
            room.courier,
            house.destinations,
            guard.require("webhooks"),
            stall_s=stall_s,
        )
    )


def _include_realtime(web: FastAPI, rooms: Rooms) -> None:
    settings, guard = rooms.settings, rooms.access.guard
    reception = Reception(rooms.host, settings.model_aliases, rooms.access.rates)
    exchange = Exchange()
    voices = _Voices(CatalogDesk(rooms.catalog))
    known = guard.require("realtime")
    ours = rooms.access.origins.before(known)
    web.include_router(socket_router(reception, ours, voices, exchange))
    web.include_router(client_secrets_router(reception, rooms.access.secrets, known, voices))
    doors = Doors(guard.require("realtime", offer=True), known)
    options = WebRtcOptions.from_settings(settings)
    web.include_router(realtime_calls_router(reception, exchange, doors, voices, options))


def _include_rustpbx(web: FastAPI, rooms: Rooms) -> None:
    for router in pbx_sockets(rooms, rooms.host, rooms.access.guard, (RUSTPBX_PATH,)):
        web.include_router(router)


def pbx_sockets(
    rooms: Rooms, host: PbxHost, guard: Guard, paths: Sequence[str]
) -> Sequence[APIRouter]:
    """The sockets of PBXes on a port, whose callers ``guard`` knows and ``host`` admits; those of
    RustPBX's Pipecat client are at ``paths``."""
    known = rooms.access.origins.before(guard.require("calls", query=TOKEN))
    lines = rooms.pbx_lines
    door = RustPbxDoor(host, rooms.call_rooms, rooms.wheel, lines)
    return [door.router(known, paths), pcm_router(host, known, rooms.wheel, lines)]


def _rustpbx_options(settings: Settings) -> RustPbxOptions:
    """How sockets of RustPBX behave on either port. The old server's names are anybody's, and count
    where somebody wants that server."""
    if not settings.opens_rustpbx:
        return RustPbxOptions()
    return RustPbxOptions(
        rate_hz=settings.sample_rate,
        max_calls=settings.max_concurrent_calls,
        call_s=settings.call_timeout,
    )


class _Voices:
    """Finds the voice that a Realtime client asks for, by OpenAI's name or the engine's own: the
    engine that the agent speaks with."""

    def __init__(self, desk: CatalogDesk) -> None:
        self._desk = desk

    async def __call__(self, agent: Agent, wanted: str, tenant: str) -> str:
        wishes = agent.engines.wishes()["tts"]
        return local_voice(await self._desk.speaking_with(wishes, tenant), wanted, agent.language)


class _Wishes:
    """The engines of a tenant's default agent: what OpenAI's model names mean to it."""

    def __init__(self, agents: AgentCatalog) -> None:
        self._agents = agents

    def __call__(self, kind: Kind, tenant: str) -> Wishes:
        return self._agents.get("", tenant).engines.wishes()[kind]
