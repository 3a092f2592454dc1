"""A hundred calls of RTP through the media stack: what they cost, and how evenly they go."""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import struct
import time
from collections import defaultdict
from dataclasses import dataclass

import httpx
import numpy as np
from aiortc.rtp import RtpPacket, is_rtcp

from bench import machine
from bench.figures import Figure, percentile, print_table, show
from bench.server import Server, python_module
from parley.core.g711 import to_alaw, to_ulaw
from parley.transports.sip.rtp.codecs import CODECS, G722Encoder
from parley.transports.sip.sdp import read_description

HOST = "127.0.0.1"
PACKET_MS = 20
# Calls begin at different moments, as calls do.
PHASES = 4
MOST_CPU_SHARE = 0.35
MOST_PACING_ERROR_MS = 10.0
CALLERS_LIMIT_MS = 5.0
OTHERS_LIMIT_CORES = 0.1
SESSION_HZ = 16_000
SETTLE_S = 2.0
# The kernel's own stamp on each datagram; Python has no name for it.
_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("qq")


@dataclass(frozen=True)
class Kind:
    """What the callers speak, and at which rate it is heard and said."""

    name: str
    says: str
    codec: str
    rate_hz: int


KINDS = (
    Kind("", "PCMU", "pcmu", 8000),
    Kind("g722", "G.722", "g722", 16_000),
    Kind("session", "PCMU, at a session's 16 kHz", "pcmu", SESSION_HZ),
)


@dataclass(frozen=True)
class Echoed:
    """What came back to the callers while the window was open."""

    sent: int
    heard: int
    pacing_errors_ms: list[float]
    callers_late_ms: list[float]
    cpu_share: float
    others_cores: float


class Callers:
    """Many calls through one socket, told apart by the port that answers."""

    def __init__(self, codec: str) -> None:
        self.ports: list[int] = []
        self.sent = 0
        self.late_ms: list[float] = []
        self.arrivals: dict[int, list[tuple[float, int]]] = defaultdict(list)
        self._codec = CODECS[codec]
        self._payloads = _speech(codec)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind((HOST, 0))
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    async def join(self, http: httpx.AsyncClient, rate_hz: int) -> None:
        codec = self._codec
        port = self._socket.getsockname()[1]
        offer = (
            f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {codec.payload_type}\r\n"
        )
        wanted = {"codec": codec.name.lower(), "rate_hz": rate_hz}
        answer = await http.post("/calls", params=wanted, content=offer)
        answer.raise_for_status()
        self.ports.append(read_description(answer.text).media[0].port)

    async def talk(self, duration_s: float) -> None:
        """Everybody talks, each in its rhythm."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        step_s = PACKET_MS / 1000 / PHASES
        for step in range(round(duration_s / step_s)):
            due_s = began_s + step * step_s
            # By the clock and not by the pause, so that a late wake-up is made good.
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            self.late_ms.append((loop.time() - due_s) * 1000)
            for call in range(step % PHASES, len(self.ports), PHASES):
                self._send(call, step // PHASES)

    def _send(self, call: int, number: int) -> None:
        payload = self._payloads[(number + call) % len(self._payloads)]
        assert self._codec.payload_type is not None
        packet = RtpPacket(
            self._codec.payload_type, 0, number & 0xFFFF, number * 160, call + 1, payload
        )
        self._socket.sendto(packet.serialize(), (HOST, self.ports[call]))
        self.sent += 1

    def _read(self) -> None:
        while True:
            try:
                data, extra, _, address = self._socket.recvmsg(2048, 64)
            except BlockingIOError:
                return
            if is_rtcp(data):
                continue
            seconds, nanoseconds = _STAMP.unpack(extra[0][2])
            stamp = RtpPacket.parse(data).timestamp
            self.arrivals[address[1]].append((seconds + nanoseconds / 1e9, stamp))

    def forget(self) -> None:
        self.sent = 0
        self.late_ms.clear()
        self.arrivals.clear()

    def pacing_errors_ms(self) -> list[float]:
        """How far each packet came from the moment that its timestamp stands for."""
        errors: list[float] = []
        for arrivals in self.arrivals.values():
            first_s, first_stamp = arrivals[0]
            offsets = [
                (at_s - first_s) * 1000 - ((stamp - first_stamp) & 0xFFFF_FFFF) / 8
                for at_s, stamp in arrivals
            ]
            usual = statistics.median(offsets)
            errors += [abs(offset - usual) for offset in offsets]
        return errors

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


def _speech(codec: str) -> list[bytes]:
    """A second of sound that no encoder can take for silence."""
    wide = codec == "g722"
    samples = 320 if wide else 160
    noise = np.random.default_rng(1).normal(0, 3000, 50 * samples).astype(np.int16)
    encode = {"g722": G722Encoder(PACKET_MS).encode, "pcma": to_alaw, "pcmu": to_ulaw}[codec]
    size = samples * 2
    pcm = noise.tobytes()
    return [encode(pcm[at : at + size]) for at in range(0, len(pcm), size)]


async def echo(calls: int, duration_s: float, kind: Kind) -> Echoed:
    cores = sorted(os.sched_getaffinity(0))
    command = python_module("bench.phone_echo", "--port", "{port}")
    callers = Callers(kind.codec)
    try:
        os.sched_setaffinity(0, {cores[-1]})
        async with (
            Server(command, core=cores[0]) as server,
            httpx.AsyncClient(base_url=server.url) as http,
        ):
            for _ in range(calls):
                await callers.join(http, kind.rate_hz)
            await callers.talk(SETTLE_S)
            callers.forget()
            began_s, used_s, others = time.monotonic(), server.cpu_s(), machine.busy()
            own_s = time.process_time()
            await callers.talk(duration_s)
            wall_s = time.monotonic() - began_s
            cpu_s = server.cpu_s() - used_s
            used = machine.busy().used_s - others.used_s - cpu_s - (time.process_time() - own_s)
            return Echoed(
                sent=callers.sent,
                heard=sum(map(len, callers.arrivals.values())),
                pacing_errors_ms=callers.pacing_errors_ms(),
                callers_late_ms=list(callers.late_ms),
                cpu_share=cpu_s / wall_s,
                others_cores=max(0.0, used / wall_s),
            )
    finally:
        os.sched_setaffinity(0, set(cores))
        callers.close()


async def measure_media(
    calls: int, duration_s: float, kinds: tuple[Kind, ...] = KINDS
) -> dict[str, Figure]:
    """The figures, by kind of echo; those without a name are of the first."""
    figures: dict[str, Figure] = {}
    rows: list[tuple[str, ...]] = []
    for kind in kinds:
        found = await echo(calls, duration_s, kind)
        pacing_p99_ms = percentile(found.pacing_errors_ms, 0.99)
        late_p99_ms = percentile(found.callers_late_ms, 0.99)
        prefix = "_".join(filter(None, ("echo", kind.name)))
        figures |= {
            f"{prefix}_cpu_share": found.cpu_share,
            f"{prefix}_pacing_p99_ms": pacing_p99_ms,
            f"{prefix}_heard_share": found.heard / found.sent,
            f"{prefix}_callers_late_p99_ms": late_p99_ms,
            f"{prefix}_others_cpu_cores": found.others_cores,
        }
        rows.append(
            (
                kind.says,
                show(found.cpu_share * 100, 0, " %"),
                show(pacing_p99_ms, 1, " ms"),
                show(found.heard / found.sent * 100, 1, " %"),
                show(late_p99_ms, 1, " ms"),
                show(found.others_cores, 2),
            )
        )
    figures["echo_calls"] = calls
    print_table(
        f"{calls} calls of RTP echo (targets for the first: {MOST_CPU_SHARE:.0%} of a core, "
        f"p99 {MOST_PACING_ERROR_MS:.0f} ms)",
        ("echo", "cpu", "pacing p99", "came back", "callers late p99", "others' cores"),
        rows,
    )
    _warn(figures)
    return figures


def _warn(figures: dict[str, Figure]) -> None:
    if any(float(v or 0) > CALLERS_LIMIT_MS for k, v in figures.items() if "callers_late" in k):
        print("  Not to be trusted: the callers themselves were late.")
    if any(float(v or 0) > OTHERS_LIMIT_CORES for k, v in figures.items() if "others_cpu" in k):
        print("  Not to be trusted: other processes used this machine as well.")
