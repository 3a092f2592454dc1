"""What only written requests ask for reaches the servers in their own words."""

from __future__ import annotations

from parley.engines.llm.chat_api import chat_body
from parley.engines.llm.ollama_chat import native_body
from parley.engines.spec import ChatOptions

HELLO = [{"role": "user", "content": "Hello?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}


def test_openai_s_dialect_has_seed_and_format_as_they_are() -> None:
    body = chat_body(HELLO, [], ChatOptions(max_tokens=9, seed=7, response_format=FORMAT))

    assert (body["seed"], body["response_format"]) == (7, FORMAT)


def test_ollama_takes_the_schema_itself_or_a_word() -> None:
    options = ChatOptions(model="m", max_tokens=9, seed=0, response_format=FORMAT)
    with_schema = native_body(HELLO, [], options)
    plain = native_body(HELLO, [], ChatOptions(response_format={"type": "json_object"}))

    assert (with_schema["format"], with_schema["options"]["seed"]) == (SCHEMA, 0)
    assert plain["format"] == "json"


def test_what_nobody_asked_for_is_not_sent() -> None:
    for body in (chat_body(HELLO, [], ChatOptions()), native_body(HELLO, [], ChatOptions())):
        assert not {"seed", "response_format", "format"} & {*body, *body.get("options", ())}
