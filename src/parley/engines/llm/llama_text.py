"""Tokens of a Llama model to and from text, piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from parley.core.errors import EngineFailed
from parley.engines.llm.llama_prompt import Prompt, Segment


class LlamaTokenizer:
    """The tokenizer of a model's folder. In text, control tokens are only text."""

    def __init__(self, folder: Path) -> None:
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises plain Exception
            raise EngineFailed(
                f"{folder} holds no tokenizer that can be read ({error}).",
                hint="Remove that model and pull it again.",
            ) from error
        self._tokenizer.encode_special_tokens = True

    def tokens(self, segments: Sequence[Segment]) -> list[str]:
        found: list[str] = []
        for segment in segments:
            if segment.is_control:
                found.append(segment.text)
            else:
                encoded: Any = self._tokenizer.encode(segment.text, add_special_tokens=False)
                found.extend(cast("list[str]", encoded.tokens))
        return found

    def prompt(self, prompt: Prompt) -> tuple[list[str], list[str]]:
        """The tokens of the steady part and of the turns."""
        return self.tokens(prompt.steady), self.tokens(prompt.turns)

    def reader(self, stops: Sequence[str] = ()) -> ReplyReader:
        return ReplyReader(self._tokenizer, stops)


class ReplyReader:
    """Turns token ids into text as they come, whole characters only, up to a stop sequence.

    Text that may be the beginning of a stop sequence is held back until that is known.
    """

    def __init__(self, tokenizer: Any, stops: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stream: Any = DecodeStream(skip_special_tokens=True)
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.has_stopped = False

    def push(self, token_id: int) -> str:
        """The text that is certain now; "" when there is none."""
        if self.has_stopped:
            return ""
        self._held += self._stream.step(self._tokenizer, token_id) or ""
        ends = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if ends:
            self.has_stopped = True
            said, self._held = self._held[: min(ends)], ""
            return said
        return self._take(len(self._held) - self._doubtful())

    def finish(self) -> str:
        """What was held back, when no more comes."""
        return self._take(len(self._held))

    def _take(self, count: int) -> str:
        said, self._held = self._held[:count], self._held[count:]
        return said

    def _doubtful(self) -> int:
        """How many characters at the end begin a stop sequence."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for count in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-count:]) for stop in self._stops):
                return count
        return 0
