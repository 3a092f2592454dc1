"""Decodes a file a little at a time, whatever it is, to what recognisers hear."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import IO

import av
from av.container import InputContainer
from av.error import FFmpegError

from parley.api.openai.containers import HEAD_BYTES, container_of, raw_rate_hz
from parley.core.audio import BYTES_PER_SAMPLE, pcm_bytes
from parley.core.errors import AudioTooLong, BadAudio, UnsupportedMedia

RATE_HZ = 16_000
# Beyond these a header is nonsense, and resampling would make much of little.
_SLOWEST_HZ, _FASTEST_HZ = 4000, 400_000
_WAV_PROBE_BYTES = "2048"
# These know how long they are, and don't guess it from their size.
_KNOW_THEIR_LENGTH = frozenset({"flac", "mov", "matroska"})


class SoundFile:
    """A file, open. Its methods block and may be called from any thread, one after the other."""

    def __init__(self, file: IO[bytes], content_type: str = "", *, longest_s: float) -> None:
        """Raises ``BadAudio`` for an empty file, ``UnsupportedMedia`` for what can't be read."""
        self._longest_s = longest_s
        self._given_bytes = 0
        self._lock = threading.Lock()
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if not head:
            raise BadAudio("The file is empty.", param="file")
        self._container = _opened(file, head, content_type)
        try:
            self._stream = self._checked()
        except BaseException:
            self._container.close()
            raise
        self._resampler: av.AudioResampler | None = None
        self._frames = self._decoded()
        self._held = bytearray()
        self._is_over = False

    def __enter__(self) -> SoundFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def duration_ms(self) -> float:
        """Of what was read so far."""
        return self._given_bytes / BYTES_PER_SAMPLE * 1000 / RATE_HZ

    @property
    def declared_ms(self) -> float:
        """What the file says of itself; 0 for one that only guesses."""
        if self._container.format.name.split(",")[0] not in _KNOW_THEIR_LENGTH:
            return 0.0
        return (self._container.duration or 0) * 1000 / av.time_base

    def read(self, duration_ms: int) -> bytes:
        """The next stretch, s16le mono at 16 kHz; shorter at the end, empty behind it.

        Raises ``AudioTooLong`` when the file lasts longer than is allowed.
        """
        wanted = pcm_bytes(duration_ms, RATE_HZ)
        with self._lock:
            while len(self._held) < wanted and not self._is_over:
                pcm = next(self._frames, None)
                self._is_over = pcm is None
                self._held += pcm or b""
            taken = bytes(self._held[:wanted])
            del self._held[:wanted]
            self._given_bytes += len(taken)
            if self.duration_ms / 1000 > self._longest_s:
                raise _too_long(self._longest_s)
            return taken

    def close(self) -> None:
        """Waits for a reading that is under way."""
        with self._lock:
            self._is_over = True
            self._container.close()

    def _checked(self) -> av.AudioStream:
        streams = self._container.streams.audio
        if not streams:
            raise UnsupportedMedia("The file has no sound.", param="file")
        stream = streams[0]
        if not _SLOWEST_HZ <= (stream.rate or 0) <= _FASTEST_HZ:
            raise UnsupportedMedia(f"A sample rate of {stream.rate} Hz makes no sense.")
        if self.declared_ms / 1000 > self._longest_s:
            raise _too_long(self._longest_s)
        return stream

    def _decoded(self) -> Iterator[bytes]:
        """Broken packets are left out, and a file that breaks off ends there."""
        has_sound = False
        try:
            for packet in self._container.demux(self._stream):
                for frame in self._frames_of(packet):
                    has_sound = True
                    yield self._resampled(frame)
        except FFmpegError as error:
            if not has_sound:
                raise _unreadable(error) from error
        if not has_sound:
            raise UnsupportedMedia("Nothing in the file can be decoded.", param="file")
        yield self._resampled(None)

    def _frames_of(self, packet: av.Packet[av.AudioStream]) -> list[av.AudioFrame]:
        try:
            return packet.decode()
        except FFmpegError:
            return []

    def _resampled(self, frame: av.AudioFrame | None) -> bytes:
        if self._resampler is None:
            if frame is None:
                return b""
            if _is_as_wanted(frame):
                return _pcm_of(frame)
            self._resampler = _resampler()
        if frame is not None:
            frame.pts = None
        try:
            frames = self._resampler.resample(frame)
        except ValueError:
            # The format changed on the way: a new stream for the resampler.
            self._resampler = _resampler()
            frames = self._resampler.resample(frame)
        return b"".join(map(_pcm_of, frames))


def _opened(file: IO[bytes], head: bytes, content_type: str) -> InputContainer:
    rate_hz = raw_rate_hz(content_type)
    options: dict[str, str] = {}
    container = container_of(head)
    if rate_hz and not container:
        container, options = "s16le", {"sample_rate": str(rate_hz), "ch_layout": "mono"}
    if not container:
        raise UnsupportedMedia("The file is of no format that is known here.", param="file")
    if container == "wav":
        # Its header tells everything; FFmpeg would read seconds of sound to make sure.
        options["probesize"] = _WAV_PROBE_BYTES
    try:
        opened = av.open(file, "r", format=container, options=options, metadata_errors="ignore")
    except (FFmpegError, ValueError) as error:
        raise _unreadable(error) from error
    return opened


def _is_as_wanted(frame: av.AudioFrame) -> bool:
    # A channel that says nothing of itself is no "mono" to FFmpeg.
    known = (frame.format.name, frame.layout.nb_channels, frame.sample_rate)
    return known == ("s16", 1, RATE_HZ)


def _pcm_of(frame: av.AudioFrame) -> bytes:
    return bytes(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE]


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)


def _unreadable(error: Exception) -> UnsupportedMedia:
    return UnsupportedMedia(f"The file can't be decoded ({error}).", param="file")


def _too_long(longest_s: float) -> AudioTooLong:
    return AudioTooLong(
        f"The recording lasts longer than {longest_s / 60:g} minutes.",
        hint="Send it in parts, or raise PARLEY_MAX_AUDIO_MINUTES.",
        param="file",
    )
