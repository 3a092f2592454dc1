"""llama.cpp's server as a service for any Pipecat pipeline."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from pipecat.frames.frames import StartFrame
from pydantic import ValidationError

from parley.core.errors import BadSettings
from parley.engines.llm.live import LiveChat
from parley.engines.llm.llama_cpp import LlamaCppChatter, LlamaCppOptions
from parley.engines.spec import ChatOptions


class LlamaLLMService(LiveChat):
    """Streams replies of the llama.cpp server at ``base_url``, and lets it call tools.

    ``base_url`` is that of ``llama-server`` (http, https), of the WebSocket service in front of it
    (ws, wss), or a list of either. ``options`` are those of the engine ``llama_cpp``:
    ``max_tokens``, ``temperature``, ``reasoning`` and so on. Each service is one conversation, with
    a slot of its own at the server. Raises ``BadSettings`` for an address or an option that is
    wrong.
    """

    def __init__(self, *, base_url: str | Sequence[str] | None, **options: Any) -> None:
        self._llama = LlamaCppChatter(_read_options(base_url, options))
        super().__init__(self._llama, ChatOptions(conversation=uuid.uuid4().hex))

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self._llama.warm_up()

    async def cleanup(self) -> None:
        await super().cleanup()
        await self._llama.close()


def _read_options(base_url: str | Sequence[str] | None, options: dict[str, Any]) -> LlamaCppOptions:
    if not base_url:
        raise BadSettings(
            "LlamaLLMService needs base_url.",
            hint="Give it the address of llama.cpp's server, such as http://localhost:8080.",
        )
    try:
        return LlamaCppOptions.model_validate({"base_url": base_url, **options})
    except ValidationError as error:
        wrong = "; ".join(
            f"{each['loc'][0]}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        )
        raise BadSettings(f"LlamaLLMService can't be made: {wrong}.") from error
