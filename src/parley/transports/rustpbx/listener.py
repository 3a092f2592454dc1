"""The application on RustPBX's own port: health, rooms, and the sockets of its calls."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from parley import __version__
from parley.transports.rustpbx.rest import (
    Admitting,
    Checked,
    Guard,
    install_detail_errors,
    rest_router,
)
from parley.transports.rustpbx.rooms import Rooms


def listener_web(
    rooms: Rooms,
    engines: Checked,
    host: Admitting,
    guard: Guard,
    sockets: Sequence[APIRouter],
    *,
    stall_s: float,
) -> FastAPI:
    """``guard`` is asked by every HTTP route but the open ones; ``sockets`` bring their own."""
    web = FastAPI(title="Parley", version=__version__, openapi_url=None)
    install_detail_errors(web)
    web.include_router(rest_router(rooms, engines, host, guard, stall_s=stall_s))
    for router in sockets:
        web.include_router(router)
    return web
