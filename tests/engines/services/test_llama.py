"""The llama.cpp service in a plain Pipecat pipeline."""

from __future__ import annotations

import pytest
from pipecat.frames.frames import LLMContextFrame, LLMTextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.tests.utils import run_test

from parley.core.errors import BadSettings
from parley.engines.services.llama import LlamaLLMService
from tests.engines.servers.llama_cpp import LlamaCppServer, LlamaSocketServer


async def texts_of(service):
    context = LLMContext([{"role": "user", "content": "Hello?"}])
    down, _ = await run_test(service, frames_to_send=[LLMContextFrame(context)], start_timeout=10)
    return [frame.text for frame in down if isinstance(frame, LLMTextFrame)]


async def test_it_streams_the_reply_from_its_own_slot():
    async with LlamaCppServer() as server:
        texts = await texts_of(LlamaLLMService(base_url=server.url, max_tokens=77))

    assert "".join(texts) == "Hello there."
    assert (server.asked[0]["max_tokens"], server.asked[0]["id_slot"]) == (77, 0)


async def test_it_speaks_to_the_websocket_service_as_well():
    async with LlamaSocketServer() as server:
        texts = await texts_of(LlamaLLMService(base_url=server.url))

    assert "".join(texts) == "Hello there."
    assert not server.live


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"base_url": None}, "needs base_url"),
        ({"base_url": "llama:8080"}, "base_url"),
        ({"base_url": "http://llama:8080", "temprature": 1}, "temprature"),
    ],
)
def test_what_is_wrong_is_said_at_once(given, says):
    with pytest.raises(BadSettings, match=says):
        LlamaLLMService(**given)
