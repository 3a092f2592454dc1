"""Items that clients put in, look at and take out, and what the model sees of them."""

from __future__ import annotations

from typing import Any

from parley.session.turns import Listening
from parley.transports.realtime.record import MOST_CHARACTERS
from tests.transports.realtime.client import Client
from tests.transports.realtime.house import realtime_house


def text(words: str, role: str = "user", **more: Any) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": words}]
    return {"type": "message", "role": role, "content": content, **more}


async def seen(client: Client, house: Any) -> list[str]:
    """What the model is shown now, behind its instructions."""
    await client.ask(output_modalities=["text"])
    return [m["content"] for m in house.asked[-1] if m["role"] != "system"]


async def test_items_go_where_the_client_wants_them(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.put(text("second", id="b"))
        await client.put(text("third"), previous_item_id="b")
        await client.put(text("first"), previous_item_id="root")
        await client.put(text("between", role="assistant"), previous_item_id="b")
        shown = await seen(client, house)

    before = [e["previous_item_id"] for e in client.all("conversation.item.added")]
    assert shown == ["first", "second", "between", "third"]
    assert before[:4] == [None, "b", None, "b"]


async def test_an_item_keeps_the_name_that_the_client_gives_it(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        mine = await client.put(text("hello", id="mine"))
        await client.send("conversation.item.create", item=text("again", id="mine"))
        twice = await client.error()
        named = await client.put(text("hello"))

    assert mine["id"] == "mine"
    assert twice["param"] == "item.id"
    assert named["id"].startswith("item_")


async def test_a_system_message_is_the_conversations(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.update(instructions="Be brief.")
        await client.put(text("Now be long.", role="system"))
        await client.ask()

    assert [m["role"] for m in house.asked[0]] == ["system", "system"]
    assert house.asked[0][1]["content"] == "Now be long."


async def test_a_deleted_item_is_gone(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        item = await client.put(text("forget"))
        await client.put(text("keep"))
        await client.send("conversation.item.delete", item_id=item["id"])
        deleted = await client.until("conversation.item.deleted")
        shown = await seen(client, house)
        await client.send("conversation.item.retrieve", item_id=item["id"], event_id="rci_x")
        error = await client.error()

    assert deleted["item_id"] == item["id"]
    assert shown == ["keep"]
    assert (error["code"], error["event_id"]) == ("item_retrieve_invalid_item_id", "rci_x")


async def test_a_reply_can_be_deleted_like_any_item(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.write("Hello.")
        (said,) = (await client.ask())["output"]
        await client.send("conversation.item.delete", item_id=said["id"])
        await client.until("conversation.item.deleted")
        shown = await seen(client, house)

    assert shown == ["Hello."]


async def test_what_can_not_be_is_refused_and_leaves_no_trace(listening: Listening):
    wrong: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        (text("x"), {"previous_item_id": "nobody"}, "previous_item_id"),
        ({"type": "message", "role": "user", "content": []}, {}, "item.content"),
        ({"type": "message", "role": "king", "content": []}, {}, "item.role"),
        ({"type": "poem"}, {}, "item.type"),
        ({"type": "mcp_call"}, {}, "item.type"),
        (
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_image", "image_url": "data:"}],
            },
            {},
            "item.content",
        ),
        (
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_audio", "audio": "§"}],
            },
            {},
            "item.content",
        ),
        (
            {"type": "function_call", "name": "look", "arguments": "{", "call_id": "c"},
            {},
            "item.arguments",
        ),
        (
            {"type": "message", "role": "user", "content": [{"type": "output_text", "text": "x"}]},
            {},
            "item.content.0.type",
        ),
    ]
    named: list[str] = []
    async with realtime_house(listening) as house, house.client() as client:
        for item, fields, _ in wrong:
            await client.send("conversation.item.create", item=item, **fields)
            named.append((await client.error())["param"])
        await client.send("conversation.item.delete", item_id="nobody")
        unknown = await client.error()
        shown = await seen(client, house)

    assert named == [param for _, _, param in wrong]
    assert unknown["code"] == "item_delete_invalid_item_id"
    assert shown == []


async def test_a_conversation_can_be_put_in_whole(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.put(text("What is there?"))
        call = {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "c1"}
        await client.put(call)
        await client.put({"type": "function_call_output", "call_id": "c1", "output": "a tree"})
        await client.put(text("A tree.", role="assistant"))
        await client.put(text("And now?"))
        await client.ask()

    asked = house.asked[0][1:] if house.asked[0][0]["role"] == "system" else house.asked[0]
    assert [m["role"] for m in asked] == ["user", "assistant", "tool", "assistant", "user"]
    assert asked[1]["tool_calls"][0]["id"] == asked[2]["tool_call_id"] == "c1"


async def test_a_conversation_has_no_more_text_than_models_could_ever_read(listening: Listening):
    long = "x" * 1_000_000
    async with realtime_house(listening) as house, house.client() as client:
        for _ in range(MOST_CHARACTERS // len(long)):
            item = await client.write(long)
        await client.send("conversation.item.create", item=text(long))
        error = await client.error()
        await client.send("conversation.item.delete", item_id=item["id"])
        await client.write(long)

    assert (error["code"], error["param"]) == ("string_above_max_length", "item")
