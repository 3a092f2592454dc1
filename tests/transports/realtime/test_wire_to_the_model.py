"""What a model's own server is sent of a conversation: tools, answers and words that were heard."""

from __future__ import annotations

from parley.engines.llm.openai import SPEC
from parley.session.turns import Listening
from parley.testing.speech import FakeSynthesizer
from tests.engines.servers.openai_chat import DONE, OpenAIChatServer, call, chunk, spoken
from tests.transports.realtime.house import realtime_house

LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
WANTS = [
    chunk(role="assistant", content=""),
    chunk(tool_calls=[call("{}", id="call_1", name="look")]),
    chunk(finish="tool_calls"),
    DONE,
]


async def test_the_request_holds_what_was_done_and_what_was_heard(listening: Listening):
    replies = [WANTS, spoken("One two ", "three."), spoken("Fine.")]
    async with OpenAIChatServer(*replies) as server:
        llm = SPEC.open(SPEC.options(base_url=server.base_url, model="m"))
        tts = FakeSynthesizer(word_ms=200, piece_ms=20)
        async with (
            realtime_house(listening, llm=llm, tts=tts) as house,
            house.client() as client,
        ):
            await client.update(tools=[LOOK])
            await client.write("What is there?")
            (wanted,) = (await client.ask())["output"]
            answer = {"type": "function_call_output", "call_id": "call_1", "output": "a tree"}
            await client.put(answer)
            (said,) = (await client.ask())["output"]
            cut = {"item_id": said["id"], "content_index": 0, "audio_end_ms": 450}
            await client.send("conversation.item.truncate", **cut)
            await client.until("conversation.item.truncated")
            await client.write("Go on.")
            usage = (await client.ask())["usage"]
        await llm.close()

    asked = server.asked[-1]["messages"][1:]
    assert wanted["call_id"] == "call_1"
    assert [m["role"] for m in asked] == ["user", "assistant", "tool", "assistant", "user"]
    assert asked[1]["tool_calls"][0]["function"]["name"] == "look"
    assert (asked[2]["tool_call_id"], asked[2]["content"]) == ("call_1", "a tree")
    assert asked[3]["content"] == "One two"
    assert [tool["function"]["name"] for tool in server.asked[-1]["tools"]] == ["look"]
    assert usage["input_tokens"] == 11
