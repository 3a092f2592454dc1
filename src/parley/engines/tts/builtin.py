"""Built-in speech: eSpeak NG in this process, offline, in some 130 languages.

It sounds like a machine, starts to speak within milliseconds and needs no model. eSpeak NG is
GPL-3.0-or-later, so it is an extra: without it this engine is not available.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from parley.core.audio import Audio
from parley.core.errors import EngineUnavailable, NotFound
from parley.engines.spec import EngineOptions, EngineSpec, SpeechOptions, Status, Voice
from parley.engines.tts.clauses import Clause, clauses_of
from parley.engines.tts.espeak import Burst, VoiceSetup
from parley.engines.tts.espeak_files import how_to_install, is_installed
from parley.engines.tts.espeak_thread import EspeakThread
from parley.engines.tts.espeak_voices import SpeakingVoice
from parley.engines.tts.pieces import Border, ClauseCutter, Piece
from parley.engines.tts.volume import at_volume
from parley.engines.tts.words import WordRow

SLOWEST_WPM, FASTEST_WPM = 80, 450
HIGHEST_PITCH = 100
MUTE_MS = 20
LONG_TEXT = 4000
"""Characters; the event loop is not kept waiting while such a text is cut up."""

_VOICE = re.compile(
    r"[a-z]{2}|[a-z]{2,3}(?:-[a-z0-9]{2,8})+(?:\+\w+)?|[a-z]{2,3}\+\w+", re.IGNORECASE
)


class BuiltinSpeechOptions(EngineOptions):
    """What an agent or a setting can say of the built-in voice."""

    voice: str = Field("en-us+f3", description="A voice's id; +variant is optional.")
    language: str = Field("", description="Speaks this language if the voice doesn't.")
    rate: int = Field(165, ge=SLOWEST_WPM, le=FASTEST_WPM, description="Words per minute.")
    pitch: int = Field(50, ge=0, le=HIGHEST_PITCH, description="50 is the voice's own.")
    gap_ms: int = Field(0, ge=0, le=1000, description="An extra pause between words.")


@dataclass(frozen=True, slots=True)
class _Manner:
    """How one text is to be spoken."""

    setup: VoiceSetup
    language: str
    volume: float


class BuiltinSpeech:
    """A ``Synthesizer`` on eSpeak NG. ``Audio.words`` tells what each piece finishes saying."""

    def __init__(self, options: BuiltinSpeechOptions) -> None:
        if not is_installed():
            raise EngineUnavailable("Built-in speech needs eSpeak NG.", hint=how_to_install())
        self._options = options
        self._thread: EspeakThread | None = None

    async def warm_up(self) -> None:
        """Speak once, so that the voice and its dictionary are in memory."""
        async with aclosing(self.synthesize("Ready.", SpeechOptions())) as sounds:
            async for _ in sounds:
                pass

    async def check(self) -> Status:
        try:
            await self.warm_up()
        except (EngineUnavailable, NotFound) as error:
            return Status(False, error.message, error.hint)
        return Status(True, f"eSpeak NG, voice {self._voice(SpeechOptions()).id}")

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        """The text as sound, in pieces of about 40 ms that end where words do.

        The first piece begins with sound. White space made single, the pieces' ``words`` put
        together are the text. Nothing to pronounce, no audio. Raises ``NotFound`` for a voice
        or language that isn't there.
        """
        thread = self._opened()
        manner = self._manner(options)
        if len(text) > LONG_TEXT:
            row, clauses = await asyncio.to_thread(_cut_up, text, manner.language)
        else:
            row, clauses = _cut_up(text, manner.language)
        said = start = given = 0
        for clause in clauses:
            speaking = thread.speak(clause.spoken, manner.setup, given)
            async with aclosing(_pieces(thread.rate_hz, clause, start, speaking)) as pieces:
                async for piece in pieces:
                    given += len(piece.samples)
                    done = row.done_at(piece.spoken_to)
                    pcm = at_volume(piece.samples, manner.volume).tobytes()
                    yield Audio(pcm, thread.rate_hz, row.between(said, done))
                    said = max(said, done)
            start = clause.end
        if clauses and said < len(row):
            # The voice has no sound for these letters: a moment of silence carries them.
            silence = bytes(thread.rate_hz * MUTE_MS // 1000 * 2)
            yield Audio(silence, thread.rate_hz, row.between(said, len(row)))

    def voices(self) -> Sequence[Voice]:
        return self._opened().voices.listed()

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.release()

    def _opened(self) -> EspeakThread:
        if self._thread is None:
            self._thread = EspeakThread.share()
        return self._thread

    def _voice(self, options: SpeechOptions) -> SpeakingVoice:
        language = options.language or self._options.language
        return self._opened().voices.find(options.voice, language, self._options.voice)

    def _manner(self, options: SpeechOptions) -> _Manner:
        voice = self._voice(options)
        setup = VoiceSetup(
            voice.identifier,
            words_per_minute=_within(self._options.rate * options.speed, SLOWEST_WPM, FASTEST_WPM),
            pitch=_within(self._options.pitch * options.pitch, 0, HIGHEST_PITCH),
            gap_ms=self._options.gap_ms,
        )
        return _Manner(setup, voice.language, max(options.volume, 0.0))


def _cut_up(text: str, language: str) -> tuple[WordRow, list[Clause]]:
    row = WordRow(text)
    return row, clauses_of(row.text, language)


async def _pieces(
    rate_hz: int, clause: Clause, start: int, speaking: AsyncGenerator[Burst]
) -> AsyncGenerator[Piece]:
    cutter = ClauseCutter(rate_hz, start, trims_start=start == 0)
    async with aclosing(speaking) as bursts:
        async for burst in bursts:
            borders = [Border(at, clause.spoken_at + position) for at, position in burst.words]
            for piece in cutter.push(np.frombuffer(burst.pcm, np.int16), borders):
                yield piece
    for piece in cutter.finish(clause.end, rate_hz * clause.pause_ms // 1000):
        yield piece


def _within(value: float, lowest: int, highest: int) -> int:
    return round(min(max(value, lowest), highest))


def _is_available(options: BuiltinSpeechOptions) -> bool:
    return is_installed()


def _is_voice(value: str) -> bool:
    """Written like ``de``, ``en-us`` or ``en-us+f3``, as no other engine's voices are."""
    return bool(_VOICE.fullmatch(value.strip()))


SPEC: EngineSpec[BuiltinSpeech] = EngineSpec(
    kind="tts",
    name="builtin",
    options=BuiltinSpeechOptions,
    open=BuiltinSpeech,
    summary="eSpeak NG in this process: a machine's voice, about 130 languages, no model.",
    available=_is_available,
    environment={"voice": "TTS_VOICE"},
    owns_voice=_is_voice,
    is_offline=True,
)
