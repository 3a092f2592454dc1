"""What can be set about calls from a browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from parley.settings import Settings


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server, told to the page and used by this server alike."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As ``RTCPeerConnection`` in a browser takes it."""
        server: dict[str, Any] = {"urls": list(self.urls)}
        if self.username:
            server |= {"username": self.username, "credential": self.credential}
        return server


@dataclass(frozen=True, slots=True)
class WebRtcOptions:
    """How browsers connect and how long they are waited for.

    ``connect_timeout_s`` counts from the offer to sound both ways. A caller from whom nothing
    has come for ``lost_after_s`` is lost; the call then waits ``reconnect_grace_s`` for them.
    ``opus_path`` off means aiortc's own jitter buffer and encoder. ``ice_servers`` is empty by
    default since a STUN server that can't be reached delays every answer by five seconds.
    ``passes_voice_on`` lets the agent's sound travel on behind the output, for a recorder there.
    """

    ice_servers: tuple[IceServer, ...] = ()
    connect_timeout_s: float = 30.0
    lost_after_s: float = 6.0
    reconnect_grace_s: float = 15.0
    opus_path: bool = True
    microphone_limit_ms: int = 400
    voice_ahead_ms: int = 40
    passes_voice_on: bool = False

    @classmethod
    def from_settings(cls, settings: Settings) -> WebRtcOptions:
        """What the settings say; the rest keeps its default."""
        return cls(
            ice_servers=tuple(
                IceServer(server.urls, server.username, server.credential.get_secret_value())
                for server in settings.ice_servers
            ),
            connect_timeout_s=settings.connect_timeout_s,
            reconnect_grace_s=settings.reconnect_grace_s,
            opus_path=settings.opus,
        )
