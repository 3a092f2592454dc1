"""eSpeak NG as a shared library, called through ctypes.

The library keeps its state in globals, so there is one per process (see ``EspeakThread``), and
one thread calls it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from parley.core.errors import EngineFailed, EngineUnavailable
from parley.engines.tts.espeak_files import EspeakFiles, how_to_install, short_path

BUFFER_MS = 200
"""Sound per call back into Python: half a millisecond of work. More often would only mean
more waiting for the interpreter's lock."""
_OUTPUT_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_END_PAUSE = 0x1000
_POSITION_CHARACTER = 1
_RATE, _VOLUME, _PITCH, _WORD_GAP = 1, 2, 3, 7
_PHONEMES_IPA = 0x02
_PHONEMES_TIED = 0x80
_WORD_EVENT = 1
_WORD_GAP_MS = 10
_VOLUME_PERCENT = 75  # at 100 the loudest voices touch full scale; at 75 they peak near -3 dBFS


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """A voice of the data: ``identifier`` is eSpeak's own name for it.

    ``languages`` are tags with their rank, its own first; of several voices that speak a
    language, the one with the lowest rank is meant by its tag.
    """

    identifier: str
    name: str
    languages: tuple[tuple[str, int], ...]

    @property
    def language(self) -> str:
        return self.languages[0][0]


@dataclass(frozen=True, slots=True)
class VoiceSetup:
    """How to speak. ``identifier`` may end in ``+variant``; ``pitch`` is 0 to 100."""

    identifier: str
    words_per_minute: int
    pitch: int
    gap_ms: int


@dataclass(frozen=True, slots=True)
class Burst:
    """Some sound of the library and the words that begin in it: (sample, character) pairs."""

    pcm: bytes
    words: Sequence[tuple[int, int]]


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("unused", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_SynthCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """The library, open. Every method is to be called from one thread at a time."""

    def __init__(self, files: EspeakFiles) -> None:
        self._data = short_path(files.data)
        try:
            self._library = ctypes.CDLL(str(files.library))
        except OSError as error:
            raise EngineUnavailable(
                f"eSpeak NG's library can't be loaded: {error}.", hint=how_to_install()
            ) from error
        self._declare()
        self.rate_hz: int = self._library.espeak_Initialize(
            _OUTPUT_SYNCHRONOUS, BUFFER_MS, os.fsencode(self._data.path), _DONT_EXIT
        )
        if self.rate_hz <= 0:
            raise EngineUnavailable(
                f"eSpeak NG can't read its data in {files.data}.", hint=how_to_install()
            )
        # Kept in an attribute: the library calls it long after this function has returned.
        self._callback = _SynthCallback(self._on_sound)
        self._library.espeak_SetSynthCallback(self._callback)
        self._take: Callable[[Burst], bool] = _discard
        self._was_stopped = False
        self._failure: Exception | None = None
        self._setup: VoiceSetup | None = None
        self.voices = self._list_voices(files.data)
        """The data's voices, in eSpeak's order."""
        self.variants = tuple(sorted(path.name for path in (files.data / "voices/!v").iterdir()))

    def _declare(self) -> None:
        library = self._library
        library.espeak_Initialize.argtypes = (
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_int,
        )
        library.espeak_SetSynthCallback.argtypes = (_SynthCallback,)
        library.espeak_SetSynthCallback.restype = None
        library.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
        library.espeak_SetParameter.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int)
        library.espeak_ListVoices.argtypes = (ctypes.c_void_p,)
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        library.espeak_Synth.argtypes = (
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        )
        library.espeak_TextToPhonemes.argtypes = (
            ctypes.POINTER(ctypes.c_char_p),
            ctypes.c_int,
            ctypes.c_int,
        )
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def speak(self, text: str, setup: VoiceSetup, take: Callable[[Burst], bool]) -> None:
        """Speak ``text``, handing each burst of sound to ``take`` until it answers false."""
        self._set_up(setup)
        try:
            self._say(text, take)
        finally:
            if self._was_stopped:
                # Its filters still ring with what was cut off; some silence lets them die away.
                self._say(",", _discard)

    def _say(self, text: str, take: Callable[[Burst], bool]) -> None:
        said = text.encode("utf-8", "replace")
        self._take, self._failure, self._was_stopped = take, None, False
        code = self._library.espeak_Synth(
            said,
            len(said) + 1,
            0,
            _POSITION_CHARACTER,
            0,
            _CHARS_UTF8 | _END_PAUSE,
            None,
            None,
        )
        if self._failure is not None:
            raise self._failure
        if code != 0:
            raise EngineFailed(f"eSpeak NG could not speak (its code is {code}).")

    def phonemes(self, text: str, identifier: str, tie: str) -> str:
        """The text in the International Phonetic Alphabet, punctuation left out.

        ``tie`` stands between the letters of one phoneme.
        """
        self._select(identifier)
        mode = _PHONEMES_IPA | _PHONEMES_TIED | ord(tie) << 8
        rest = ctypes.c_char_p(text.replace("\0", " ").encode("utf-8", "replace"))
        found: list[str] = []
        while rest.value is not None:
            clause = self._library.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8, mode)
            found.append(cast(bytes, clause or b"").decode())
        return " ".join(" ".join(found).split())

    def close(self) -> None:
        self._library.espeak_Terminate()
        self._data.remove()

    def _set_up(self, setup: VoiceSetup) -> None:
        if setup == self._setup:
            return
        self._select(setup.identifier)
        for parameter, value in (
            (_RATE, setup.words_per_minute),
            (_VOLUME, _VOLUME_PERCENT),
            (_PITCH, setup.pitch),
            (_WORD_GAP, setup.gap_ms // _WORD_GAP_MS),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._setup = setup

    def _select(self, identifier: str) -> None:
        self._setup = None
        if self._library.espeak_SetVoiceByName(identifier.encode()) != 0:
            raise EngineFailed(f"eSpeak NG refuses the voice {identifier!r}.")

    def _on_sound(self, samples: int | None, count: int, events: Any) -> int:
        """What the library calls: 0 lets it go on, 1 stops it."""
        if self._was_stopped:
            return 1
        try:
            words: list[tuple[int, int]] = []
            for event in _until_zero(events):
                if event.type == _WORD_EVENT:
                    words.append((event.sample, event.text_position - 1))
            pcm = ctypes.string_at(samples, count * 2) if samples and count else b""
            self._was_stopped = bool(pcm or words) and not self._take(Burst(pcm, words))
        except Exception as error:
            # An exception can't pass through the library's frames: `speak` raises it.
            self._failure, self._was_stopped = error, True
        return int(self._was_stopped)

    def _list_voices(self, data: Path) -> tuple[EspeakVoice, ...]:
        listed = self._library.espeak_ListVoices(None)
        dictionaries = {path.name.removesuffix("_dict") for path in data.glob("*_dict")}
        found: list[EspeakVoice] = []
        index = 0
        while listed[index]:
            voice = listed[index].contents
            identifier = cast(bytes, voice.identifier).decode()
            languages = _languages_at(voice.languages) if voice.languages else ()
            stem = identifier.rsplit("/", 1)[-1].split("-")[0]
            # A few languages are listed though the wheel carries no dictionary for them.
            if languages and dictionaries & {stem, *(tag.split("-")[0] for tag, _ in languages)}:
                name = cast(bytes, voice.name).decode().strip()
                found.append(EspeakVoice(identifier, name, languages))
            index += 1
        return tuple(found)


def _discard(burst: Burst) -> bool:
    return True


def _until_zero(events: Any) -> Sequence[_Event]:
    found: list[_Event] = []
    while events[len(found)].type != 0:
        found.append(events[len(found)])
    return found


def _languages_at(address: int) -> tuple[tuple[str, int], ...]:
    """Reads pairs of a rank byte and a language tag, ended by rank zero."""
    found: list[tuple[str, int]] = []
    while rank := ctypes.string_at(address, 1)[0]:
        tag = ctypes.string_at(address + 1)
        found.append((tag.decode().lower(), rank))
        address += len(tag) + 2
    return tuple(found)
