"""Where one model's text ends and the next model's goes on."""

from __future__ import annotations

from collections.abc import Sequence

from parley.engines.spec import Message

CARRY_ON = (
    "Your reply was cut off at that point and has already been spoken to the caller. Carry on"
    " from exactly there, in the middle of the sentence if need be, and repeat none of it."
)


def carried_on(messages: Sequence[Message], said: str) -> list[Message]:
    """The messages for a model that is to finish what another began to say."""
    return [
        *messages,
        {"role": "assistant", "content": said},
        {"role": "system", "content": CARRY_ON},
    ]


class Seam:
    """Takes the second model's text and leaves out what the first has said already.

    Models like to begin again whatever they are told. Text is held back as long as it may yet
    turn out to be a repetition, of all that was said or of its last, torn word.
    """

    def __init__(self, said: str) -> None:
        self._said = said
        self._key = _key(said)
        self._torn_key = _key(said.split()[-1]) if said[-1:].isalnum() else ""
        self._held = ""
        self._is_open = not self._key

    def take(self, text: str) -> str:
        """What of the text may be given out now."""
        if self._is_open:
            return text
        self._held += text
        held = _key(self._held)
        if self._key.startswith(held) or self._torn_key.startswith(held):
            return ""
        self._is_open = True
        for repeated in (self._key, self._torn_key):
            if repeated and held.startswith(repeated):
                rest = _after(self._held, len(repeated))
                return rest.lstrip() if self._said[-1].isspace() else rest
        meets = self._said[-1].isalnum() and self._held[0].isalnum()
        return f" {self._held}" if meets else self._held


def _key(text: str) -> str:
    """Letters and digits only: spaces, marks and case may differ between two models."""
    return "".join(character for character in text.casefold() if character.isalnum())


def _after(text: str, letters: int) -> str:
    """The text behind its first so many letters and digits."""
    for position, character in enumerate(text):
        if not letters:
            return text[position:]
        letters -= sum(each.isalnum() for each in character.casefold())
    return ""
