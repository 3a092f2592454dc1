"""How much of a text has been spoken, so that another voice can speak the rest."""

from __future__ import annotations

from dataclasses import replace

from parley.core.audio import Audio
from parley.engines.tts.utterance import USUAL_LETTERS_PER_S
from parley.engines.tts.words import WordRow, letters_in


class Spoken:
    """Counts a text's words as engines speak them, one engine after the other.

    By what an engine tells of its words; where it tells none, by the time they usually take.
    """

    def __init__(self, text: str) -> None:
        self._row = WordRow(text)
        self._text = text
        self._start = 0
        self._letters = 0
        self._given_ms = 0.0
        self._untold = ""
        self.has_sound = False

    @property
    def rest(self) -> str:
        """What is still to be said when nobody speaks."""
        if not self._start:
            return self._text
        return self._row.between(self._start, len(self._row))

    def begins(self) -> str:
        """Another engine is to speak: the text for it."""
        self._letters = 0
        self._given_ms = 0.0
        return self.rest

    def take(self, sound: Audio) -> Audio:
        """Count a piece; its ``words`` are made to include those that nobody has told of yet."""
        self.has_sound = self.has_sound or bool(sound.pcm)
        self._given_ms += sound.duration_ms
        if sound.words:
            self._letters += letters_in(sound.words)
            if self._untold:
                sound = replace(sound, words=self._untold + sound.words)
                self._untold = ""
        return sound

    def breaks_off(self) -> None:
        """The engine has failed: settle which words it has spoken."""
        before = letters_in(self._row.between(0, self._start))
        if self._letters:
            self._start = self._row.done_after(before + self._letters)
        elif self._given_ms:
            guess = int(self._given_ms / 1000 * USUAL_LETTERS_PER_S)
            done = min(self._row.done_after(before + guess), max(len(self._row) - 1, 0))
            self._untold += self._row.between(self._start, done)
            self._start = max(self._start, done)
        self._letters = 0
        self._given_ms = 0.0
