"""A talker served by Ollama: raw prompts as text, tokens as text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from parley.engines.tts.orpheus.codes import TokenText
from parley.engines.tts.orpheus.prompt import prompt_text
from parley.engines.tts.orpheus.talker import STOP_TEXT, HttpTalker, TalkRequest, Tokens

CONTEXT_TOKENS = 8192
WHOLE_CONTEXT = -1


class OllamaTalker(HttpTalker):
    """``/api/generate`` with ``raw``: no other route keeps the chat template off the prompt."""

    label = "Ollama"
    ping_path = "/api/version"
    missing_model_hint = "ollama pull {model}"

    async def talk(self, request: TalkRequest) -> AsyncGenerator[Tokens]:
        model = request.model or self.setup.model
        texts = TokenText()
        body = self._body(request, model)
        async with aclosing(self.lines("/api/generate", body, model)) as answers:
            async for answer in answers:
                has_ended = bool(answer.get("done"))
                finish = str(answer.get("done_reason") or "stop") if has_ended else ""
                ids = texts.push(str(answer.get("response") or ""))
                yield Tokens(ids, finish, texts.other_characters)
                if has_ended:
                    return
        raise self.broken_off()

    def _body(self, request: TalkRequest, model: str) -> dict[str, Any]:
        sampling = request.sampling
        options: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "repeat_penalty": sampling.repetition_penalty,
            "repeat_last_n": WHOLE_CONTEXT,
            "num_predict": sampling.max_tokens,
            "num_ctx": CONTEXT_TOKENS,
            "stop": [STOP_TEXT],
        }
        if sampling.seed is not None:
            options["seed"] = sampling.seed
        prompt = prompt_text(request.text)
        return {"model": model, "prompt": prompt, "raw": True, "stream": True, "options": options}
