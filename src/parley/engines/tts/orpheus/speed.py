"""Speech faster or slower at the same pitch, as it streams: FFmpeg's atempo filter (WSOLA)."""

from __future__ import annotations

from fractions import Fraction

import av
import av.error
import av.filter
import numpy as np

from parley.engines.tts.orpheus.codes import RATE_HZ
from parley.engines.tts.orpheus.window import Sound

SLOWEST = 0.5
FASTEST = 2.0

_TIME_BASE = Fraction(1, RATE_HZ)


class TimeStretch:
    """One utterance at ``speed`` times its own pace; at 1 the sound passes as it is."""

    def __init__(self, speed: float) -> None:
        self.speed = min(max(speed, SLOWEST), FASTEST)
        self._taken = 0
        self._graph: av.filter.Graph | None = None
        if self.speed != 1.0:
            graph = av.filter.Graph()
            source = graph.add_abuffer(
                format="flt", sample_rate=RATE_HZ, layout="mono", time_base=_TIME_BASE
            )
            tempo = graph.add("atempo", f"{self.speed:.4f}")
            sink = graph.add("abuffersink")
            source.link_to(tempo)
            tempo.link_to(sink)
            graph.configure()
            self._graph = graph

    def push(self, sound: Sound) -> Sound:
        """What comes out for this piece; the filter keeps some 85 ms until more comes."""
        if self._graph is None or not len(sound):
            return sound
        frame = av.AudioFrame.from_ndarray(sound[None, :], format="flt", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.time_base = _TIME_BASE
        frame.pts = self._taken
        self._taken += len(sound)
        self._graph.push(frame)
        return self._pull(self._graph)

    def flush(self) -> Sound:
        """The last of it."""
        if self._graph is None or not self._taken:
            return np.zeros(0, np.float32)
        self._graph.push(None)
        return self._pull(self._graph)

    def _pull(self, graph: av.filter.Graph) -> Sound:
        pieces: list[Sound] = []
        while True:
            try:
                frame = graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            if isinstance(frame, av.AudioFrame):
                pieces.append(frame.to_ndarray()[0].astype(np.float32))
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
