"""What the talker is given to read: as token ids, or as text where a server takes nothing else."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from parley.core.errors import EngineFailed, EngineUnavailable
from parley.engines.tts.orpheus.codes import (
    BEGIN_OF_TEXT,
    END_OF_HUMAN,
    END_OF_TEXT,
    FIRST_CUSTOM,
    START_OF_AI,
    START_OF_HUMAN,
    START_OF_SPEECH,
)

REMEMBERED = 512

_CONTROL = re.compile(r"<custom_token_\d*>|<\|[^<>|]*\|>", re.IGNORECASE)


class TextTokens(Protocol):
    """Gives the ids of a plain text, without any that begin or end it."""

    async def __call__(self, text: str) -> Sequence[int]: ...


def without_control_tokens(text: str) -> str:
    """The text with whatever a tokenizer would read as a control token taken out."""
    while (cleaned := _CONTROL.sub(" ", text)) != text:
        text = cleaned
    return text


def prompt_ids(text_ids: Sequence[int]) -> list[int]:
    """The whole prompt around the ids of ``name: text``, in the order that the model learnt.

    Ids of control tokens among them are left out.
    """
    plain = [token for token in text_ids if 0 <= token < BEGIN_OF_TEXT]
    head, tail = [START_OF_HUMAN, BEGIN_OF_TEXT], [END_OF_TEXT, END_OF_HUMAN]
    return [*head, *plain, *tail, START_OF_AI, START_OF_SPEECH]


def prompt_text(text: str) -> str:
    """The same as text, for servers that take no ids."""
    human, end_of_human, ai, speech = (
        f"<custom_token_{token - FIRST_CUSTOM}>"
        for token in (START_OF_HUMAN, END_OF_HUMAN, START_OF_AI, START_OF_SPEECH)
    )
    text = without_control_tokens(text)
    return f"{human}<|begin_of_text|>{text}<|eot_id|>{end_of_human}{ai}{speech}"


class LocalTokens:
    """A ``tokenizer.json`` read in this process."""

    def __init__(self, file: Path) -> None:
        try:
            # Not at import: most installations speak with another engine.
            from tokenizers import Tokenizer

            tokenizer: Any = Tokenizer
            self._tokenizer = tokenizer.from_file(str(file))
        except Exception as error:
            # tokenizers raises plain Exceptions.
            raise EngineUnavailable(
                f"{file} can't be read as a tokenizer: {error}",
                hint="It is the tokenizer.json of the talker's checkpoint; without the option "
                "the server is asked.",
            ) from error

    async def __call__(self, text: str) -> Sequence[int]:
        return cast("list[int]", self._tokenizer.encode(text, add_special_tokens=False).ids)


class RememberedTokens:
    """Asks for each text once: greetings and fillers come again and again."""

    def __init__(
        self, ask: Callable[[str], Awaitable[object]], remembered: int = REMEMBERED
    ) -> None:
        self._ask = ask
        self._most = remembered
        self._known: OrderedDict[str, tuple[int, ...]] = OrderedDict()

    async def __call__(self, text: str) -> Sequence[int]:
        if text not in self._known:
            self._known[text] = _ids(await self._ask(text))
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        self._known.move_to_end(text)
        return self._known[text]


def _ids(answer: object) -> tuple[int, ...]:
    if isinstance(answer, list):
        tokens = cast("list[object]", answer)
        if tokens and all(isinstance(token, int) for token in tokens):
            return tuple(cast("list[int]", tokens))
    raise EngineFailed("The talker's server gave no token ids for a text.")
