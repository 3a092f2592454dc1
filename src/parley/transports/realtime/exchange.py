"""The WebRTC calls of the Realtime protocol that are going on, by name and owner."""

from __future__ import annotations

from dataclasses import dataclass

from parley.access.caller import Caller
from parley.core.errors import NoSuchCall
from parley.transports.realtime.channel_media import ChannelMedia


@dataclass(frozen=True)
class _Line:
    owner: Caller
    media: ChannelMedia


class Exchange:
    """Keys reach all calls of their tenant; a client secret those that began with it."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, media: ChannelMedia, owner: Caller) -> None:
        self._lines[media.call_id] = _Line(owner, media)

    def forget(self, call_id: str) -> None:
        self._lines.pop(call_id, None)

    def find(self, call_id: str, caller: Caller) -> ChannelMedia:
        """Raises ``NoSuchCall``, for another tenant's call too."""
        line = self._lines.get(call_id)
        if line is None or line.media.is_over or not _may_reach(caller, line.owner):
            raise NoSuchCall(f"There is no call {call_id[:100]!r}.", param="call_id")
        return line.media


def _may_reach(caller: Caller, owner: Caller) -> bool:
    is_own = caller.session is None or caller.session is owner.session
    return caller.tenant == owner.tenant and is_own
