"""FFmpeg's resampler, called directly in the copy that PyAV's wheel carries.

PyAV reaches it through a filter graph and makes frames of every piece: 25 µs for the 20 ms of a
telephone call, of which the resampling itself is four.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import av

_BYTES_PER_SAMPLE = 2
# More than any filter keeps back for the next piece.
_SPARE_SAMPLES = 1024


class Swresample:
    """The two loaded libraries that it takes. Raises ``OSError`` where PyAV carries none."""

    def __init__(self) -> None:
        options = _load("avutil")
        resampling = _load("swresample")
        handle, number = ctypes.c_void_p, ctypes.c_int
        self.set_option = options.av_opt_set
        self.set_option.argtypes = [handle, ctypes.c_char_p, ctypes.c_char_p, number]
        self.alloc = resampling.swr_alloc
        self.alloc.restype = handle
        self.init = resampling.swr_init
        self.init.argtypes = [handle]
        self.convert = resampling.swr_convert
        self.convert.argtypes = [handle, handle, number, handle, number]
        self.free = resampling.swr_free
        self.free.argtypes = [ctypes.POINTER(handle)]
        self.free.restype = None


@cache
def swresample() -> Swresample | None:
    """The library, None where PyAV was built against the system's FFmpeg."""
    try:
        return Swresample()
    except (OSError, AttributeError):
        return None


def _load(name: str) -> Any:
    package = Path(av.__file__).parent
    carried = [
        *package.parent.glob(f"av.libs/*{name}*"),
        *package.glob(f".dylibs/lib{name}.*"),
    ]
    if not carried:
        raise OSError(f"PyAV carries no {name}")
    # PyDLL keeps the GIL: getting it back would take longer than the call does.
    return ctypes.PyDLL(str(min(carried)))


class DirectResampler:
    """One stream of s16le mono from one rate to another."""

    def __init__(self, library: Swresample, from_hz: int, to_hz: int) -> None:
        self._convert = library.convert
        self._from_hz = from_hz
        self._to_hz = to_hz
        self._context = _open(
            library,
            {
                "in_chlayout": "mono",
                "out_chlayout": "mono",
                "in_sample_fmt": "s16",
                "out_sample_fmt": "s16",
                "in_sample_rate": str(from_hz),
                "out_sample_rate": str(to_hz),
            },
        )
        weakref.finalize(self, _close, library, self._context)
        self._in = (ctypes.c_char_p * 1)()
        self._out = (ctypes.c_void_p * 1)()
        self._room = 0
        self._view = memoryview(b"")

    def push(self, pcm: bytes) -> bytes:
        samples = len(pcm) // _BYTES_PER_SAMPLE
        wanted = samples * self._to_hz // self._from_hz + _SPARE_SAMPLES
        if wanted > self._room:
            self._make_room(wanted)
        self._in[0] = bytes(pcm)
        return self._taken(self._convert(self._context, self._out, self._room, self._in, samples))

    def flush(self) -> bytes:
        if not self._room:
            return b""
        tail = b""
        while part := self._taken(self._convert(self._context, self._out, self._room, None, 0)):
            tail += part
        return tail

    def _make_room(self, samples: int) -> None:
        buffer = ctypes.create_string_buffer(samples * _BYTES_PER_SAMPLE)
        self._out[0] = ctypes.addressof(buffer)
        self._view = memoryview(buffer)
        self._room = samples

    def _taken(self, samples: int) -> bytes:
        if samples < 0:
            raise ValueError(f"FFmpeg can't resample (error {samples}).")
        return bytes(self._view[: samples * _BYTES_PER_SAMPLE])


def _open(library: Swresample, options: Mapping[str, str]) -> ctypes.c_void_p:
    context = ctypes.c_void_p(library.alloc())
    for name, value in options.items():
        problem = library.set_option(context, name.encode(), value.encode(), 0)
        if problem < 0:
            _close(library, context)
            raise ValueError(f"FFmpeg's resampler refuses {name} = {value} (error {problem}).")
    problem = library.init(context)
    if problem < 0:
        _close(library, context)
        raise ValueError(f"FFmpeg's resampler can't be opened (error {problem}).")
    return context


def _close(library: Swresample, context: ctypes.c_void_p) -> None:
    library.free(ctypes.byref(context))
