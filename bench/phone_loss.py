"""A bad network: what a telephone's words and sound are worth when packets are lost and late."""

from __future__ import annotations

import asyncio
import re
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import numpy as np

from bench.figures import Figure, percentile, show
from bench.latency import GREETING_LIMIT_S, SENTENCES, SPEECH_LIMIT_S
from bench.phone_caller import HOST, RATE_HZ, PhoneCaller
from bench.phone_calls import take_turn, telephone
from bench.realtime import newest_turns
from bench.relay import Relay
from bench.speech import PACKET_MS, Utterance, speak_all
from bench.turns import PAUSE_S
from parley.core.g711 import to_ulaw
from parley.transports.sip.rtp.codecs import PCMU
from parley.transports.sip.rtp.line import LineOptions, PhoneLine
from parley.transports.sip.rtp.ports import PortRange
from parley.transports.wheel import Wheel

LOSSES = (0.0, 0.02, 0.05, 0.10)
JITTER_MS = 30.0
TONE_HZ = 300
TONE_LEVEL = 8000
# A tone that is quieter than a tenth of itself for so long is heard as a hole.
GAP_MS = 10
GAP_LEVEL = 0.1
SETTLE_S = 0.5
HEAD = ("loss", "word error", "holes/min", "hole share", "longest pause", "heard", "reply p50")
_HEADER = struct.Struct("!BBHLL")


@dataclass
class Heard:
    """A ``LineListener`` that notes what came and when."""

    pcm: bytearray = field(default_factory=bytearray)
    arrived_s: list[float] = field(default_factory=list[float])

    def on_sound(self, pcm: bytes) -> None:
        self.pcm += pcm
        self.arrived_s.append(time.monotonic())

    def on_digit(self, digit: str) -> None: ...

    def on_media(self) -> None: ...

    def on_hold(self, is_held: bool) -> None: ...

    def on_silence(self) -> None: ...


@dataclass(frozen=True)
class Tone:
    """What became of a steady tone. ``share`` is how much of its time was heard at all, and
    ``pause_max_ms`` the longest that a listener waited for the next piece."""

    seconds: float
    lost: float
    gaps: int
    gap_ms: float
    pause_max_ms: float
    share: float


async def tone_through(loss: float, duration_s: float) -> Tone:
    """A caller hums through the relay to the media stack."""
    wheel, heard = Wheel(), Heard()
    loop = asyncio.get_running_loop()
    async with Relay(loss, JITTER_MS) as relay:
        options = LineOptions(codecs=(PCMU,), heard_hz=RATE_HZ)
        line = PhoneLine(options, PortRange(HOST, 40_000, 41_999), wheel, heard)
        line.answer(_offer(relay.far_port))
        relay.lead_to((HOST, line.port))
        wire, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, (HOST, 0))
        packets = round(duration_s * 1000 / PACKET_MS)
        began_s = loop.time()
        for number in range(packets):
            await asyncio.sleep(max(0.0, began_s + number * PACKET_MS / 1000 - loop.time()))
            wire.sendto(_hum(number), (HOST, relay.near_port))
        await asyncio.sleep(JITTER_MS / 1000)
        lost = relay.lost / max(1, relay.lost + relay.passed)
        line.close()
        wheel.close()
        wire.close()
    return _judge(heard, lost, duration_s)


def _offer(port: int) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\n"
    )


def _hum(number: int) -> bytes:
    samples = RATE_HZ * PACKET_MS // 1000
    at = np.arange(number * samples, (number + 1) * samples)
    pcm = (np.sin(at * 2 * np.pi * TONE_HZ / RATE_HZ) * TONE_LEVEL).astype(np.int16).tobytes()
    return _HEADER.pack(0x80, 0, number & 0xFFFF, number * samples, 1) + to_ulaw(pcm)


def _judge(heard: Heard, lost: float, duration_s: float) -> Tone:
    gaps = gaps_ms(np.frombuffer(bytes(heard.pcm), np.int16), RATE_HZ)
    # The beginning is a packet that must come before anything can be heard.
    pauses = np.diff(heard.arrived_s) * 1000 if len(heard.arrived_s) > 1 else np.zeros(1)
    return Tone(
        seconds=duration_s,
        lost=lost,
        gaps=len(gaps),
        gap_ms=sum(gaps),
        pause_max_ms=float(pauses.max()),
        share=len(heard.pcm) / 2 / RATE_HZ / duration_s,
    )


def gaps_ms(pcm: np.ndarray, rate_hz: int) -> list[float]:
    """How long each hole in a steady tone is."""
    step = rate_hz * GAP_MS // 2 // 1000
    frames = np.abs(pcm[: len(pcm) // step * step].reshape(-1, step)).max(axis=1)
    quiet = np.concatenate(([False], frames < TONE_LEVEL * GAP_LEVEL, [False]))
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8)))
    lengths = (edges[1::2] - edges[::2]) * step * 1000 / rate_hz
    return [float(length) for length in lengths if length >= GAP_MS]


async def call_through(
    http: httpx.AsyncClient, sip_port: int, loss: float, speeches: Sequence[Utterance]
) -> tuple[float, list[float]]:
    """A call whose sound passes the relay both ways: the word error, and the reply times."""
    replies_ms: list[float] = []
    async with (
        Relay(loss, JITTER_MS) as relay,
        PhoneCaller(sip_port, relay=relay) as caller,
    ):
        await caller.ear.sound_after(caller.dialled_s, GREETING_LIMIT_S)
        await caller.ear.quiet_for(PAUSE_S, SPEECH_LIMIT_S)
        for speech in speeches:
            replies_ms.append((await take_turn(caller, speech)).reply_ms)
    await asyncio.sleep(SETTLE_S)
    turns = await newest_turns(http)
    understood = " ".join(turn["text"] for turn in turns if turn["role"] == "user")
    return word_error(" ".join(each.text for each in speeches), understood), replies_ms


def word_error(said: str, understood: str) -> float:
    """Words that are wrong, missing or too many, by those that were said."""
    wanted, got = _words(said), _words(understood)
    row = list(range(len(got) + 1))
    for number, word in enumerate(wanted, 1):
        above, row = row, [number, *row[1:]]
        for at, other in enumerate(got, 1):
            row[at] = min(above[at] + 1, row[at - 1] + 1, above[at - 1] + (word != other))
    return row[-1] / len(wanted)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


async def measure_loss(tone_s: float, rounds: int) -> dict[str, Figure]:
    speeches = await speak_all(list(SENTENCES)) * rounds
    figures: dict[str, Figure] = {}
    # Four callers who hum cost next to nothing: one minute does for all of them.
    tones = await asyncio.gather(*(tone_through(loss, tone_s) for loss in LOSSES))
    print(f"\npackets up to {JITTER_MS:.0f} ms late, and lost; {len(speeches)} turns each")
    _show_row(HEAD)
    async with (
        telephone() as (server, sip_port),
        httpx.AsyncClient(base_url=server.url, timeout=30.0) as http,
    ):
        for loss, tone in zip(LOSSES, tones, strict=True):
            errors, replies_ms = await call_through(http, sip_port, loss, speeches)
            figures |= _figures(loss, tone, errors, replies_ms)
            _show_row(_row(loss, tone, errors, replies_ms))
    return figures | {"loss_jitter_ms": JITTER_MS, "loss_turns": len(speeches)}


def _show_row(cells: Sequence[str]) -> None:
    """At once: whoever stops the bench has seen what was done by then."""
    padded = [cell.rjust(len(name) + 2) for cell, name in zip(cells[1:], HEAD[1:], strict=True)]
    print("  " + cells[0].ljust(12) + " ".join(padded), flush=True)


def _figures(
    loss: float, tone: Tone, errors: float, replies_ms: Sequence[float]
) -> dict[str, Figure]:
    prefix = f"loss{loss * 100:.0f}"
    return {
        f"{prefix}_word_error_share": errors,
        f"{prefix}_gaps_per_min": tone.gaps * 60 / tone.seconds,
        f"{prefix}_gap_share": tone.gap_ms / tone.seconds / 1000,
        f"{prefix}_pause_max_ms": tone.pause_max_ms,
        f"{prefix}_heard_share": tone.share,
        f"{prefix}_reply_p50_ms": percentile(replies_ms, 0.5),
    }


def _row(loss: float, tone: Tone, errors: float, replies_ms: Sequence[float]) -> tuple[str, ...]:
    return (
        f"{loss:.0%} ({tone.lost:.1%})",
        show(errors * 100, 0, " %"),
        show(tone.gaps * 60 / tone.seconds, 1),
        show(tone.gap_ms / tone.seconds / 10, 2, " %"),
        show(tone.pause_max_ms, 0, " ms"),
        show(tone.share * 100, 1, " %"),
        show(percentile(replies_ms, 0.5), 0, " ms"),
    )
