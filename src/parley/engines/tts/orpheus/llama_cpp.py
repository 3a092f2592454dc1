"""A talker served by llama.cpp's own server, by its native ``/completion``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from parley.engines.tts.orpheus.codes import TokenText
from parley.engines.tts.orpheus.prompt import RememberedTokens, TextTokens, prompt_ids
from parley.engines.tts.orpheus.talker import (
    STOP_TEXT,
    HttpTalker,
    TalkerSetup,
    TalkRequest,
    Tokens,
)

WHOLE_CONTEXT = -1


class LlamaCppTalker(HttpTalker):
    """Ids go in, and come out with ``return_tokens``; the server has the one model."""

    label = "llama.cpp"
    ping_path = "/health"

    def __init__(self, url: str, setup: TalkerSetup) -> None:
        super().__init__(url, setup)
        self._tokens: TextTokens = setup.tokens or RememberedTokens(self._ask_for_ids)

    async def talk(self, request: TalkRequest) -> AsyncGenerator[Tokens]:
        body = await self._body(request)
        texts = TokenText()
        async with aclosing(self.lines("/completion", body, request.model)) as answers:
            async for answer in answers:
                has_ended = bool(answer.get("stop"))
                finish = "" if not has_ended else _finish(answer)
                ids = answer.get("tokens") or texts.push(str(answer.get("content") or ""))
                yield Tokens(ids, finish, texts.other_characters)
                if has_ended:
                    return
        raise self.broken_off()

    async def _body(self, request: TalkRequest) -> dict[str, Any]:
        sampling = request.sampling
        return {
            "prompt": prompt_ids(await self._tokens(request.text)),
            "stream": True,
            "return_tokens": True,
            # Whose text begins like another tenant's must not be heard sooner.
            "cache_prompt": False,
            "n_predict": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "repeat_penalty": sampling.repetition_penalty,
            # vLLM looks at all of the text; the 64 tokens that are usual here are 0.8 s.
            "repeat_last_n": WHOLE_CONTEXT,
            "stop": [STOP_TEXT],
            "seed": -1 if sampling.seed is None else sampling.seed,
        }

    async def _ask_for_ids(self, text: str) -> object:
        body = {"content": text, "add_special": False, "parse_special": False}
        return (await self.ask("POST", "/tokenize", body)).get("tokens")


def _finish(answer: dict[str, Any]) -> str:
    is_cut = answer.get("stop_type") == "limit" or bool(answer.get("stopped_limit"))
    return "length" if is_cut else "stop"
