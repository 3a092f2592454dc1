"""libopus, called directly: decoding that conceals what is lost, encoding that helps others to.

FFmpeg's wrapper, which aiortc uses, can neither recover a lost packet from its successor
(RFC 6716, in-band FEC) nor conceal one. The wheel of PyAV carries a copy of libopus, so there is
nothing to install; without it the system's is taken.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import av

from parley.core.audio import BYTES_PER_SAMPLE
from parley.core.errors import BadAudio

MAX_PACKET_MS = 120
MAX_PACKET_BYTES = 1500

_OK = 0
_APPLICATION_VOIP = 2048
_SET_BITRATE = 4002
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014
_SET_SIGNAL = 4024
_SIGNAL_VOICE = 3001
_RESET_STATE = 4028

# Since libopus 1.5; Debian 12 has 1.3.
_NEW = {"opus_packet_has_lbrr"}

# Ten frames after the last sound the encoder's own noise has died down.
_FRAMES_TO_SILENCE = 10


class Libopus:
    """The loaded library. Raises ``OSError`` when there is none."""

    def __init__(self) -> None:
        self.path, library = _load()
        self._declare(library)
        self._library = library

    def decoder(self, rate_hz: int) -> OpusDecoder:
        return OpusDecoder(self._library, rate_hz)

    def encoder(self, rate_hz: int) -> OpusEncoder:
        return OpusEncoder(self._library, rate_hz)

    @staticmethod
    def _declare(library: ctypes.PyDLL) -> None:
        handle, text, number, int32 = (
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_int32,
        )
        signatures: dict[str, list[Any]] = {
            "opus_decoder_get_size": [number],
            "opus_decoder_init": [handle, int32, number],
            "opus_decode": [handle, text, int32, handle, number, number],
            "opus_encoder_get_size": [number],
            "opus_encoder_init": [handle, int32, number, number],
            "opus_encode": [handle, text, number, handle, int32],
            # Both are variadic; what follows is passed as a c_int.
            "opus_decoder_ctl": [handle, number],
            "opus_encoder_ctl": [handle, number],
            "opus_packet_has_lbrr": [text, int32],
        }
        for name, arguments in signatures.items():
            function = getattr(library, name, None)
            if function is None and name in _NEW:
                continue
            assert function is not None, f"libopus has no {name}"
            function.argtypes = arguments
            function.restype = number


def _load() -> tuple[str, ctypes.PyDLL]:
    package = Path(av.__file__).parent
    carried = [
        *package.parent.glob("av.libs/*opus-*"),
        *package.parent.glob("av.libs/*opus.*"),
        *package.glob(".dylibs/libopus*"),
    ]
    problem = "PyAV carries no copy"
    # PyDLL keeps the GIL: a call lasts a tenth of a millisecond, while getting the GIL back from
    # a busy thread can take five, and this runs on the event loop that paces all calls.
    for path in [*map(str, sorted(carried)), "libopus.so.0", "libopus.0.dylib", "opus.dll"]:
        try:
            return path, ctypes.PyDLL(path)
        except OSError as error:
            problem = str(error)
    raise OSError(f"libopus can't be loaded: {problem}")


def _state(size_bytes: int) -> Any:
    # 64-bit words, because libopus expects its state aligned.
    return (ctypes.c_uint64 * (size_bytes // 8 + 1))()


class OpusDecoder:
    """One stream's decoder. Every answer is s16le mono at the decoder's rate."""

    def __init__(self, library: Any, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._decode = library.opus_decode
        self._control = library.opus_decoder_ctl
        self._has_copy = getattr(library, "opus_packet_has_lbrr", None)
        self._state = _state(library.opus_decoder_get_size(1))
        if library.opus_decoder_init(self._state, rate_hz, 1) != _OK:
            raise ValueError(f"Opus can't decode to {rate_hz} Hz.")
        self._max_samples = rate_hz * MAX_PACKET_MS // 1000
        self._pcm = ctypes.create_string_buffer(self._max_samples * BYTES_PER_SAMPLE)
        self._view = memoryview(self._pcm)

    def decode(self, packet: bytes) -> bytes:
        """The sound of a packet. Raises ``BadAudio`` when it isn't Opus."""
        if not packet:
            raise BadAudio("The Opus packet is empty.")
        count = self._decode(self._state, packet, len(packet), self._pcm, self._max_samples, 0)
        if count <= 0:
            raise BadAudio(f"libopus refuses the packet (error {count}).")
        return bytes(self._view[: count * BYTES_PER_SAMPLE])

    def recover(self, following: bytes, samples: int) -> bytes:
        """The sound of a lost packet, out of the copy that its successor may carry."""
        count = self._decode(self._state, following, len(following), self._pcm, samples, 1)
        return bytes(self._view[: count * BYTES_PER_SAMPLE]) if count > 0 else self.conceal(samples)

    def carries_copy(self, packet: bytes) -> bool:
        """Whether a packet brings a copy of its predecessor; an old libopus can't tell: True."""
        if not packet or self._has_copy is None:
            return bool(packet)
        return self._has_copy(packet, len(packet)) == 1

    def conceal(self, samples: int) -> bytes:
        """What may pass for ``samples`` of sound that is lost for good."""
        count = self._decode(self._state, None, 0, self._pcm, samples, 0)
        return bytes(self._view[: max(count, 0) * BYTES_PER_SAMPLE])

    def reset(self) -> None:
        """Forget the past, for a stream that starts afresh."""
        self._control(self._state, _RESET_STATE)


class OpusEncoder:
    """A voice encoder: mono, 32 kb/s, ready for one packet in ten to be lost."""

    def __init__(
        self, library: Any, rate_hz: int, *, bitrate: int = 32_000, complexity: int = 5
    ) -> None:
        self.rate_hz = rate_hz
        self._encode = library.opus_encode
        self._state = _state(library.opus_encoder_get_size(1))
        if library.opus_encoder_init(self._state, rate_hz, 1, _APPLICATION_VOIP) != _OK:
            raise ValueError(f"Opus can't encode from {rate_hz} Hz.")
        for control, value in (
            (_SET_BITRATE, bitrate),
            (_SET_INBAND_FEC, 1),
            (_SET_PACKET_LOSS_PERC, 10),
            (_SET_COMPLEXITY, complexity),
            (_SET_SIGNAL, _SIGNAL_VOICE),
        ):
            if library.opus_encoder_ctl(self._state, control, ctypes.c_int(value)) != _OK:
                raise ValueError(f"libopus refuses setting {control} = {value}.")
        self._packet = ctypes.create_string_buffer(MAX_PACKET_BYTES)
        self._view = memoryview(self._packet)
        self._silence = b""
        self._silent_frames = 0

    def encode(self, pcm: bytes) -> bytes:
        """Encode one frame of 10, 20, 40 or 60 ms."""
        self._silent_frames = 0
        return self._compress(pcm)

    def encode_silence(self, duration_ms: int = 20) -> bytes:
        """One frame of silence; after a fifth of a second always the same bytes.

        Encoding silence costs as much as encoding speech. A decoder that hears the same packet
        again and again stays silent (tested: amplitude 1 of 32,768), and one that then hears
        speech doesn't notice that the encoder had been resting.
        """
        if self._silent_frames >= _FRAMES_TO_SILENCE:
            return self._silence
        self._silent_frames += 1
        samples = self.rate_hz * duration_ms // 1000
        self._silence = self._compress(bytes(samples * BYTES_PER_SAMPLE))
        return self._silence

    def _compress(self, pcm: bytes) -> bytes:
        samples = len(pcm) // BYTES_PER_SAMPLE
        size = self._encode(self._state, pcm, samples, self._packet, MAX_PACKET_BYTES)
        if size <= 0:
            raise BadAudio(f"Opus can't encode a frame of {samples} samples (error {size}).")
        return bytes(self._view[:size])
