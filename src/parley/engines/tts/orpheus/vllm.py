"""A talker served by vLLM, or as text by any server with OpenAI's completions (LM Studio)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from parley.core.errors import EngineFailed
from parley.engines.tts.orpheus.codes import END_OF_SPEECH, TokenText
from parley.engines.tts.orpheus.prompt import RememberedTokens, TextTokens, prompt_ids, prompt_text
from parley.engines.tts.orpheus.talker import (
    STOP_TEXT,
    HttpTalker,
    TalkerSetup,
    TalkRequest,
    Tokens,
)


class VllmTalker(HttpTalker):
    """``/v1/completions`` with ids both ways (``return_token_ids``, vLLM since 0.10.2).

    An older one sends text only, which is read as well.
    """

    label = "vLLM"
    missing_model_hint = "Serve it: vllm serve {model}, or as an adapter: --lora-modules {model}=…"

    def __init__(self, url: str, setup: TalkerSetup) -> None:
        super().__init__(url, setup)
        self._tokens: TextTokens = setup.tokens or RememberedTokens(self._ask_for_ids)
        self._model = setup.model

    async def talk(self, request: TalkRequest) -> AsyncGenerator[Tokens]:
        model = request.model or await self._served_model()
        body = {"model": model, "stream": True, **await self._body(request)}
        texts = TokenText()
        finish = ""
        async with aclosing(self.lines("/v1/completions", body, model)) as answers:
            async for answer in answers:
                for choice in _rows(answer, "choices"):
                    finish = str(choice.get("finish_reason") or finish)
                    ids = cast("list[int] | None", choice.get("token_ids"))
                    if ids is None:
                        ids = texts.push(str(choice.get("text") or ""))
                    yield Tokens(ids, finish, texts.other_characters)
        if not finish:
            raise self.broken_off()

    async def _body(self, request: TalkRequest) -> dict[str, Any]:
        sampling = request.sampling
        body: dict[str, Any] = {
            "prompt": prompt_ids(await self._tokens(request.text)),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "repetition_penalty": sampling.repetition_penalty,
            "max_tokens": sampling.max_tokens,
            "min_tokens": min(sampling.min_tokens, sampling.max_tokens),
            "stop_token_ids": [END_OF_SPEECH],
            "skip_special_tokens": False,
            "return_token_ids": True,
        }
        return body if sampling.seed is None else {**body, "seed": sampling.seed}

    async def _served_model(self) -> str:
        """The model that was set, else the first that the server has."""
        if not self._model:
            served = _rows(await self.ask("GET", "/v1/models"), "data")
            if not served:
                raise EngineFailed(f"{self.label} at {self.where} serves no model.")
            self._model = str(served[0]["id"])
        return self._model

    async def _ask_for_ids(self, text: str) -> object:
        body = {
            "model": await self._served_model(),
            "prompt": text,
            "add_special_tokens": False,
        }
        return (await self.ask("POST", "/tokenize", body)).get("tokens")


class TextTalker(VllmTalker):
    """``/v1/completions`` with text both ways, for servers that know nothing of ids."""

    label = "The talker"
    missing_model_hint = "Load {model} there, or correct the option model."

    async def _body(self, request: TalkRequest) -> dict[str, Any]:
        sampling = request.sampling
        body: dict[str, Any] = {
            "prompt": prompt_text(request.text),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            # The two names that such servers have for it; they pass over the other.
            "repeat_penalty": sampling.repetition_penalty,
            "repetition_penalty": sampling.repetition_penalty,
            "max_tokens": sampling.max_tokens,
            "stop": [STOP_TEXT],
            "skip_special_tokens": False,
            "add_special_tokens": False,
        }
        return body if sampling.seed is None else {**body, "seed": sampling.seed}


def _rows(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", answer.get(name) or [])
