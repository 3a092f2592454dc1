"""One text on its way to the caller: sound at the output's rate, and each word where it ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from parley.core.audio import BYTES_PER_SAMPLE, Audio, Resampler, pcm_bytes
from parley.engines.tts.spoken_form import SpokenForm, as_written
from parley.engines.tts.words import WordRow, letters_in

CHUNK_MS = 20
"""What transports send at a time. Portions are whole chunks, so that a word is never told
before the chunk that ends it."""
PORTION_MS = 100
SILENT_ABOUT_WORDS_MS = 1200
"""An engine that names no word within this much sound does not tell words."""
USUAL_LETTERS_PER_S = 13.0


class SpeakingRate:
    """How fast an engine speaks, learnt from what it has spoken, and whether it tells words."""

    def __init__(self) -> None:
        self.tells_words: bool | None = None
        self._letters_per_s = USUAL_LETTERS_PER_S
        self._utterances = 0

    def letters_after(self, duration_ms: float) -> int:
        return int(duration_ms / 1000 * self._letters_per_s)

    def scale(self, factor: float) -> None:
        """The engine is about to speak faster or slower by ``factor``."""
        self._letters_per_s *= factor

    def learn(self, letters: int, duration_ms: float, has_told_words: bool) -> None:
        self.tells_words = has_told_words
        if letters and duration_ms:
            self._utterances += 1
            share = max(1 / self._utterances, 0.3)
            rate = letters / (duration_ms / 1000)
            self._letters_per_s += share * (rate - self._letters_per_s)


@dataclass(frozen=True, slots=True)
class Portion:
    """Sound, and how many words of the text have been spoken when it has been heard."""

    pcm: bytes
    words_done: int


@dataclass(frozen=True, slots=True)
class _Mark:
    byte: int
    words_done: int


class Utterance:
    """Takes an engine's audio for one text and gives out portions of it.

    ``row`` are the words as they were written, which is what the conversation keeps. The engine
    is given ``spoken``, and what it tells of its words is told of theirs.
    """

    def __init__(
        self, text: str, rate_hz: int, rate: SpeakingRate, spoken: SpokenForm | None = None
    ) -> None:
        self._form = spoken or as_written(text)
        self.row = WordRow(self._form.written)
        self._spoken_row = WordRow(self._form.spoken)
        self._rate_hz = rate_hz
        self._rate = rate
        self._resampler: Resampler | None = None
        self._torn = b""
        self._waiting = bytearray()
        self._taken = 0
        self._given = 0
        self._letters = 0
        self._words_done = 0
        self._marks: deque[_Mark] = deque()
        self._chunk = pcm_bytes(CHUNK_MS, rate_hz)

    @property
    def spoken(self) -> str:
        """What the engine is to say."""
        return self._spoken_row.text

    @property
    def has_sound(self) -> bool:
        return self._taken > 0

    def take(self, audio: Audio, *, is_hurried: bool) -> Iterator[Portion]:
        """What can go out now. In no hurry, portions are gathered to ``PORTION_MS``."""
        self._add(self._resampled(audio))
        if audio.words:
            self._letters += letters_in(audio.words)
            self._marks.append(_Mark(self._taken, self._written(self._letters)))
        yield from self._give(is_hurried=is_hurried)

    def end(self) -> Iterator[Portion]:
        """The last of the sound, filled up to a whole chunk, with all words not told yet."""
        if self._resampler is not None:
            self._add(self._resampler.flush())
        if not self._taken:
            return
        self._rate.learn(self._spoken_row.letters, self._ms(self._taken), bool(self._letters))
        self._marks.append(_Mark(self._taken, len(self.row)))
        self._waiting.extend(bytes(-len(self._waiting) % self._chunk))
        yield from self._give(is_hurried=True)
        if self._words_done < len(self.row):
            yield Portion(b"", len(self.row))

    def _give(self, *, is_hurried: bool) -> Iterator[Portion]:
        most = self._chunk * (PORTION_MS // CHUNK_MS)
        while len(self._waiting) >= self._chunk:
            size = min(len(self._waiting) // self._chunk * self._chunk, most)
            if self._marks:
                ahead = max(self._marks[0].byte - self._given, 1)
                size = min(size, -(-ahead // self._chunk) * self._chunk)
            elif size < most and not is_hurried:
                return
            pcm = bytes(self._waiting[:size])
            del self._waiting[:size]
            self._given += size
            yield Portion(pcm, self._done_now())

    def _done_now(self) -> int:
        while self._marks and self._marks[0].byte <= self._given:
            self._words_done = max(self._words_done, self._marks.popleft().words_done)
        if self._must_guess():
            guess = self._written(self._rate.letters_after(self._ms(self._given)))
            # The last word is not given away before the sound has ended.
            self._words_done = max(self._words_done, min(guess, len(self.row) - 1))
        return self._words_done

    def _written(self, letters: int) -> int:
        """How many written words are complete once so many spoken letters are."""
        done = self._spoken_row.done_after(letters)
        if done >= len(self._spoken_row):
            return len(self.row)
        return self.row.done_at(self._form.written_at(self._spoken_row.starts[done]))

    def _must_guess(self) -> bool:
        if self._letters or self._rate.tells_words:
            return False
        return self._rate.tells_words is False or self._ms(self._given) > SILENT_ABOUT_WORDS_MS

    def _resampled(self, audio: Audio) -> bytes:
        pcm = self._torn + audio.pcm
        whole = len(pcm) - len(pcm) % BYTES_PER_SAMPLE
        self._torn = pcm[whole:]
        tail = b""
        if self._resampler is None or self._resampler.from_hz != audio.rate_hz:
            tail = self._resampler.flush() if self._resampler else b""
            self._resampler = Resampler(audio.rate_hz, self._rate_hz)
        return tail + self._resampler.push(pcm[:whole])

    def _add(self, pcm: bytes) -> None:
        self._waiting.extend(pcm)
        self._taken += len(pcm)

    def _ms(self, size: int) -> float:
        return size / BYTES_PER_SAMPLE * 1000 / self._rate_hz
