"""What goes over a browser's data channel beside the sound, as Pipecat's client knows it."""

from __future__ import annotations

import json
from typing import Any, cast

from parley.core.events import Event
from parley.core.log import get_logger

log = get_logger(__name__)

RTVI_LABEL = "rtvi-ai"
GOODBYES = frozenset({"goodbye", "disconnect-bot"})


def read_message(text: str | bytes) -> dict[str, Any] | None:
    """A page's message, if it is one: pings of Pipecat's client are none."""
    if isinstance(text, str) and text.startswith("ping"):
        return None
    try:
        message = json.loads(text)
    except ValueError:
        log.warning("message_not_json")
        return None
    return cast(dict[str, Any], message) if isinstance(message, dict) else None


def server_message(event: Event) -> dict[str, Any]:
    """An event as an RTVI server message ``{"parley": {"event": …}}``."""
    return {"label": RTVI_LABEL, "type": "server-message", "data": {"parley": event.to_dict()}}


def peer_left() -> dict[str, Any]:
    """The end."""
    return {"type": "signalling", "message": {"type": "peerLeft"}}
