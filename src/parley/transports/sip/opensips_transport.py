"""A Pipecat transport whose caller comes as RTP: from OpenSIPS, from rtpengine, from any telephone.

For pipelines that are written with Pipecat alone; calls to Parley's own agents don't need it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from pipecat.audio.vad.vad_analyzer import VADAnalyzer
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import BaseTransport, TransportParams

from parley.core.call import EndReason
from parley.core.errors import CallNotLive, ParleyError
from parley.core.log import get_logger
from parley.transports.phone_playout import PhonePlayout
from parley.transports.sip.agreement import Address
from parley.transports.sip.bare_media import agreed_by, codec_of
from parley.transports.sip.crew import Crew
from parley.transports.sip.pipeline_ends import SoundInput, SoundOutput
from parley.transports.sip.rtp.line import LineOptions, PhoneLine
from parley.transports.sip.rtp.packet import is_report, read_packet
from parley.transports.sip.rtp.shared_port import SharedPort
from parley.transports.webrtc.microphone import Microphone
from parley.transports.wheel import Wheel

log = get_logger(__name__)

EVENTS = ("on_rtp_started", "on_participant_joined", "on_participant_left", "on_error")
RTP_PORT = 5004
PHONE_HZ = 8000
_MICROPHONE_LIMIT_MS = 400
_AHEAD_MS = 60
_TELLING_LIMIT_S = 1.0


class OpenSIPSParams(TransportParams):
    """``bind_ip`` and ``bind_port`` are where RTP is taken (RTCP one port above).

    The caller is heard at ``audio_in_sample_rate``, whatever codec it speaks; speech of any rate
    goes out. With a ``vad_analyzer`` voice activity is detected by the transport; its frames
    reach the aggregators as those of an analyzer of their own would. A caller who sends nothing
    for ``silence_s`` has left.
    """

    audio_in_enabled: bool = True
    audio_in_sample_rate: int | None = PHONE_HZ
    audio_out_enabled: bool = True
    audio_out_sample_rate: int | None = PHONE_HZ
    bind_ip: str = "127.0.0.1"
    bind_port: int = RTP_PORT
    vad_analyzer: VADAnalyzer | None = None
    silence_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Participant:
    """Whoever sends the sound. ``id`` is ``rtp:HOST:PORT``."""

    id: str
    host: str
    port: int
    codec: str


class OpenSIPSTransport(BaseTransport):
    """One caller at a time, and the next one when that has left.

    Event handlers get the transport, and then: ``on_participant_joined`` and ``on_rtp_started``
    the ``Participant``, ``on_participant_left`` the participant and the reason (``caller`` or
    ``agent``), ``on_error`` the ``ParleyError``.
    """

    def __init__(self, params: OpenSIPSParams | None = None, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.is_open = asyncio.Event()
        """Set while sound is taken."""
        chosen = params or OpenSIPSParams()
        heard_hz = chosen.audio_in_sample_rate or PHONE_HZ
        voice_hz = chosen.audio_out_sample_rate or PHONE_HZ
        self._options = LineOptions(
            heard_hz=heard_hz,
            voice_hz=voice_hz,
            silence_limit_s=chosen.silence_s,
            goodbye_ends=True,
        )
        self._playout = PhonePlayout(_AHEAD_MS, rate_hz=voice_hz)
        self._microphone = Microphone(_MICROPHONE_LIMIT_MS, rate_hz=heard_hz)
        self._shared = SharedPort(chosen.bind_ip, chosen.bind_port, self._hear_stranger)
        self._wheel = Wheel()
        self._crew = Crew()
        self._line: PhoneLine | None = None
        self._participant: Participant | None = None
        self._input = SoundInput(self._microphone, self)
        self._output = SoundOutput(self._playout, self, rate_hz=voice_hz)
        self._front: FrameProcessor = self._input
        if chosen.vad_analyzer is not None:
            self._front = Pipeline([self._input, VADProcessor(vad_analyzer=chosen.vad_analyzer)])
        for event in EVENTS:
            self._register_event_handler(event)

    def input(self) -> FrameProcessor:
        return self._front

    def output(self) -> FrameProcessor:
        return self._output

    @property
    def participant(self) -> Participant | None:
        """Who is there now."""
        return self._participant

    # ── the pipeline's Port ──────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """The pipeline has started. Raises ``BadSettings`` where the ports can't be had."""
        try:
            self._shared.open()
        except ParleyError as error:
            self._tell("on_error", error)
            raise
        self.is_open.set()
        log.info("rtp_port_open", host=self._shared.host, port=self._shared.port)

    async def close(self) -> None:
        """The pipeline has ended. May be repeated."""
        self.is_open.clear()
        self._end("agent")
        self._wheel.close()
        self._shared.close()
        await self._crew.finish(_TELLING_LIMIT_S)

    async def send_digits(self, digits: str) -> None:
        if self._line is None:
            raise CallNotLive("Nobody is there to hear the keys.")
        await self._line.send_digits(digits)

    # ── whoever calls ────────────────────────────────────────────────────────────────────

    def _hear_stranger(self, data: bytes, source: Address) -> None:
        """Somebody whose line there isn't: the next caller, if nobody is there."""
        if self._line is not None or is_report(data):
            return
        try:
            packet = read_packet(data)
        except ValueError:
            return
        codec = codec_of(packet)
        if codec is None:
            return
        name = f"rtp:{source[0]}:{source[1]}"
        self._participant = Participant(name, source[0], source[1], codec.name)
        branch = self._shared.branch(source)
        self._line = PhoneLine(self._options, branch, self._wheel, self, playout=self._playout)
        self._tell("on_participant_joined", self._participant)
        self._line.begin(agreed_by(packet, codec, source))
        branch.on_rtp(data, source)

    def _end(self, reason: EndReason) -> None:
        line, participant = self._line, self._participant
        if line is None:
            return
        self._line = self._participant = None
        line.close()
        self._tell("on_participant_left", participant, reason)

    # ── LineListener ─────────────────────────────────────────────────────────────────────

    def on_sound(self, pcm: bytes) -> None:
        self._microphone.put(pcm)

    def on_digit(self, digit: str) -> None:
        self._input.press(digit)

    def on_media(self) -> None:
        self._tell("on_rtp_started", self._participant)

    def on_hold(self, is_held: bool) -> None:
        """Nothing says so in RTP."""

    def on_silence(self) -> None:
        self._end("caller")

    def _tell(self, event: str, *facts: Any) -> None:
        """Handlers run in tasks that Pipecat keeps; beginning them takes one of ours."""
        self._crew.spawn(self._call_event_handler(event, *facts), event)
