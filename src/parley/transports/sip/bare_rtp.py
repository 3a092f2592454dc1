"""Calls without a signal: whoever sends sound to ``RTP_PORT`` is answered by the default agent."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType

from parley.core.call import CallInfo
from parley.core.errors import BadSettings, ParleyError
from parley.core.log import get_logger
from parley.session.host import Place
from parley.settings import Settings
from parley.transports.rate import Rate
from parley.transports.sip.agreement import Address
from parley.transports.sip.attendant import Host
from parley.transports.sip.bare_media import BareMedia, agreed_by, codec_of
from parley.transports.sip.crew import Crew
from parley.transports.sip.door import Door
from parley.transports.sip.options import Network, SipOptions
from parley.transports.sip.phone_media import PhoneMedia
from parley.transports.sip.rtp.line import LineOptions, PhoneLine
from parley.transports.sip.rtp.packet import RtpPacket, is_report, read_packet
from parley.transports.sip.rtp.shared_port import SharedPort
from parley.transports.wheel import Wheel

log = get_logger(__name__)

# A source that was refused is heard again after so long.
REFUSED_S = 1.0
# A source whose call has ended may be silent for so long and still be the same stream.
ENDED_S = 2.0
# What sessions may take to end when the server goes down.
CLOSING_S = 5.0
# So many sources are remembered; a flood of invented ones fills no memory.
MOST_REMEMBERED = 4096


@dataclass(frozen=True)
class BareOptions:
    """Who may call from where is said by ``peers``; none means everybody. ``calls_per_s`` 0 sets
    no limit. ``line.silence_limit_s`` is how long a caller sends nothing who has hung up."""

    host: str = "127.0.0.1"
    port: int = 5004
    peers: tuple[Network, ...] = ()
    calls_per_s: float = 50.0
    line: LineOptions = field(default_factory=lambda: LineOptions(silence_limit_s=10.0))

    @classmethod
    def from_settings(cls, settings: Settings) -> BareOptions:
        """Raises ``BadSettings``."""
        if settings.sip_srtp == "required":
            raise BadSettings(
                "PARLEY_SIP_SRTP=required, and sound without SIP can't be encrypted.",
                hint="Unset RTP_PORT, or PARLEY_SIP_SRTP.",
            )
        return cls(
            host=settings.rtp_host,
            port=settings.rtp_port or cls.port,
            peers=settings.sip_peers,
            calls_per_s=settings.sip_calls_per_s,
            line=LineOptions(silence_limit_s=settings.rtp_silence_s),
        )


@dataclass(slots=True)
class _Pause:
    """Until when a source begins no call. ``ssrc`` is the stream whose call has ended: it would
    begin the next one with the packets that it goes on sending."""

    until_s: float
    ssrc: int | None = None


class BareRtp:
    """Use it as an async context manager; leaving it ends what is still going. ``wheel`` is the
    process's: there is one for all calls."""

    def __init__(self, options: BareOptions, host: Host, wheel: Wheel) -> None:
        self._line = replace(options.line, goodbye_ends=True)
        self._host = host
        self._door = Door(SipOptions(peers=options.peers))
        self._rate = Rate(options.calls_per_s, time.monotonic)
        self._shared = SharedPort(options.host, options.port, self._hear_stranger)
        self._wheel = wheel
        self._open: set[BareMedia] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._pauses: OrderedDict[Address, _Pause] = OrderedDict()
        self._crew = Crew()
        self._is_draining = False

    @property
    def live_calls(self) -> int:
        return len(self._open)

    @property
    def address(self) -> str:
        """Where sound is taken, as a URL."""
        host = self._shared.host
        return f"rtp://{f'[{host}]' if ':' in host else host}:{self._shared.port}"

    async def __aenter__(self) -> BareRtp:
        """Raises ``BadSettings`` where the ports can't be had."""
        self._shared.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_draining = True
        await self._crew.close()
        for media in self._open:
            media.leave()
        try:
            async with asyncio.timeout(CLOSING_S):
                await self._empty.wait()
        except TimeoutError:
            log.warning("rtp_calls_left", calls=len(self._open))
            for media in list(self._open):
                await media.hang_up("drain")
        self._shared.close()

    def drain(self) -> None:
        """Take no new calls."""
        self._is_draining = True

    # ── the first packet ─────────────────────────────────────────────────────────────────

    def _hear_stranger(self, data: bytes, source: Address) -> None:
        packet = self._read(data, source)
        if packet is None or self._is_paused(packet, source) or not self._rate.take():
            return
        try:
            self._begin(packet, data, source)
        except ParleyError as error:
            log.info("rtp_call_refused", source=source[0], code=error.code, why=str(error))
            self._pause(source, _Pause(self._now_s() + REFUSED_S))

    def _read(self, data: bytes, source: Address) -> RtpPacket | None:
        """A packet that may begin a call."""
        if self._is_draining or is_report(data) or self._is_our_own(source):
            return None
        if not (self._door.is_open or self._door.is_peer(source[0])):
            return None
        try:
            packet = read_packet(data)
        except ValueError:
            return None
        return packet if codec_of(packet) else None

    def _is_our_own(self, source: Address) -> bool:
        """A forged source that is this very port would have us answer ourselves for ever."""
        return source[1] == self._shared.port and source[0] in (
            self._shared.host,
            "127.0.0.1",
            "::1",
        )

    def _begin(self, packet: RtpPacket, data: bytes, source: Address) -> None:
        """Take the call in one step, so that no flood gets past the limit."""
        codec = codec_of(packet)
        assert codec is not None
        caller = f"rtp:{source[0]}:{source[1]}"
        place = self._host.admit(CallInfo(agent="", transport="rtp", caller=caller))
        try:
            branch = self._shared.branch(source)
            make_line = partial(PhoneLine, self._line, branch, self._wheel)
            media = BareMedia(place.call.id, source, make_line, self._forget)
        except BaseException:
            place.release()
            raise
        self._open.add(media)
        self._empty.clear()
        media.line.begin(agreed_by(packet, codec, source))
        branch.on_rtp(data, source)
        self._crew.spawn(self._start(place, media), f"rtp:{place.call.id}")

    async def _start(self, place: Place, media: BareMedia) -> None:
        try:
            await place.reserve()
        except BaseException as error:
            place.release()
            await media.hang_up("error")
            if not isinstance(error, ParleyError):
                raise
            log.info("rtp_call_refused", source=media.source[0], code=error.code, why=str(error))
            return
        self._host.start(place, media)

    # ── sources that begin no call ───────────────────────────────────────────────────────

    def _forget(self, media: PhoneMedia) -> None:
        assert isinstance(media, BareMedia)
        self._open.discard(media)
        if not self._open:
            self._empty.set()
        self._pause(media.source, _Pause(self._now_s() + ENDED_S, media.line.heard_ssrc))

    def _pause(self, source: Address, pause: _Pause) -> None:
        self._pauses[source] = pause
        self._pauses.move_to_end(source)
        if len(self._pauses) > MOST_REMEMBERED:
            self._pauses.popitem(last=False)

    def _is_paused(self, packet: RtpPacket, source: Address) -> bool:
        pause, now_s = self._pauses.get(source), self._now_s()
        if pause is None:
            return False
        if now_s >= pause.until_s or (pause.ssrc is not None and packet.ssrc != pause.ssrc):
            del self._pauses[source]
            return False
        if pause.ssrc is not None:
            pause.until_s = now_s + ENDED_S
        return True

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()
