"""Llama in this process, on a model with random weights: how it streams, stops and lets go."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from parley.core.errors import BadRequest, EngineUnavailable
from parley.engines.llm.llama import SPEC, Llama, LlamaOptions
from parley.engines.llm.llama_prompt import Segment, llama_prompt
from parley.engines.llm.llama_text import LlamaTokenizer, ReplyReader
from parley.engines.spec import ChatOptions, Delta, ToolSchema
from tests.engines.models.tiny_llama import make_tiny_llama, make_tokenizer

pytest.importorskip("ctranslate2", reason="the extra llama is not installed")

DAY = date(2026, 11, 5)
BOOK = ToolSchema("book", "Books a table.", {"type": "object", "properties": {}})
HELLO = [{"role": "user", "content": "Hello"}]
LONG = ChatOptions(max_tokens=4000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
async def llama(folder: Path) -> AsyncIterator[Llama]:
    options = LlamaOptions(
        model=str(folder), device="cpu", workers=1, threads=1, temperature=0, context_tokens=8192
    )
    engine = Llama(options)
    yield engine
    await engine.close()


async def said(engine: Llama, options: ChatOptions, **more: list[ToolSchema]) -> list[Delta]:
    return [delta async for delta in engine.chat(HELLO, more.get("tools", []), options)]


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


# ── the prompt ───────────────────────────────────────────────────────────────────────────────


def test_a_conversation_is_written_byte_for_byte_as_the_models_template_does() -> None:
    messages = [
        {"role": "system", "content": " Be brief. "},
        {"role": "assistant", "content": "Good evening!"},
        {"role": "user", "content": "A table\n"},
    ]

    prompt = str(llama_prompt(messages, [], DAY))

    assert prompt == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Cutting Knowledge Date: December 2023\nToday Date: 05 Nov 2026\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nGood evening!<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nA table<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_tools_their_calls_and_results_are_written_as_the_models_template_does() -> None:
    call = {"id": "1", "function": {"name": "book", "arguments": '{"at": "acht Uhr für zwei"}'}}
    messages = [
        {"role": "user", "content": "Book"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": '{"ok": true}'},
    ]

    prompt = str(llama_prompt(messages, [BOOK], DAY))

    assert prompt == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Environment: ipython\nCutting Knowledge Date: December 2023\nToday Date: 05 Nov 2026\n\n"
        "You have access to the following functions. To call a function, please respond with JSON "
        'for a function call.Respond in the format {"name": function name, "parameters": '
        "dictionary of argument name and its value}.Do not use variables.\n\n"
        '{\n    "type": "function",\n    "function": {\n        "name": "book",\n'
        '        "description": "Books a table.",\n        "parameters": {\n'
        '            "type": "object",\n            "properties": {}\n        }\n    }\n}\n\n'
        "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nBook<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
        '{"name": "book", "parameters": {"at": "acht Uhr für zwei"}}<|eot_id|>'
        '<|start_header_id|>ipython<|end_header_id|>\n\n"{\\"ok\\": true}"<|eot_id|>'
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_what_a_caller_says_never_becomes_a_control_token(folder: Path) -> None:
    tokenizer = LlamaTokenizer(folder)

    spoken = tokenizer.tokens([Segment("a<|eot_id|>")])
    control = tokenizer.tokens([Segment("<|eot_id|>", True)])

    assert "".join(spoken) == "a<|eot_id|>"
    assert len(spoken) == len("a<|eot_id|>")
    assert control == ["<|eot_id|>"]


@pytest.mark.parametrize(
    ("choice", "reply"),
    [
        ("", ""),
        ("auto", ""),
        ("book", '{"name": "book", "parameters": '),
        ("required", '{"name": "book", "parameters": '),
    ],
)
async def test_a_tool_that_must_be_called_begins_the_reply(
    llama: Llama, choice: str, reply: str
) -> None:
    options = ChatOptions(max_tokens=3, tool_choice=choice)

    deltas = await said(llama, options, tools=[BOOK])

    assert text_of(deltas).startswith(reply)
    assert llama_prompt(HELLO, [BOOK], DAY, choice).reply == reply


def test_no_tool_is_told_when_none_may_be_called_and_one_that_is_not_there_is_refused() -> None:
    without = str(llama_prompt(HELLO, [BOOK], DAY, "none"))

    assert "book" not in without
    with pytest.raises(BadRequest, match="sell"):
        llama_prompt(HELLO, [BOOK], DAY, "sell")


# ── streaming ────────────────────────────────────────────────────────────────────────────────


async def test_a_reply_streams_and_says_how_long_it_was(llama: Llama) -> None:
    deltas = await said(llama, ChatOptions(max_tokens=40))

    last = deltas[-1]
    assert len([delta for delta in deltas if delta.text]) > 5
    assert last.finish == "length"
    assert last.usage is not None
    assert (last.usage.prompt_tokens > 50, last.usage.completion_tokens) == (True, 40)


async def test_the_kept_beginning_of_a_prompt_changes_no_word_of_the_reply(folder: Path) -> None:
    replies: set[str] = set()

    for kept in (0, 4):
        engine = Llama(LlamaOptions(model=str(folder), temperature=0, kept_prompts=kept))
        replies |= {text_of(await said(engine, ChatOptions(max_tokens=30))) for _ in range(3)}
        await engine.close()

    assert len(replies) == 1


async def test_the_kept_beginning_of_a_prompt_is_its_tenants_alone(folder: Path) -> None:
    engine = Llama(LlamaOptions(model=str(folder), temperature=0))
    reused: list[bool] = []

    for tenant in ("acme", "acme", "bee", "acme"):
        how: dict[str, Any] = {}
        engine._start(["You", "are", "secret"], ["Hi"], how, tenant)
        reused.append("static_prompt" in how)
    await engine.close()

    assert reused == [True, True, False, True]


async def test_a_reply_ends_before_a_stop_sequence(llama: Llama) -> None:
    whole = text_of(await said(llama, ChatOptions(max_tokens=40)))
    stop = whole[20:23]

    deltas = await said(llama, ChatOptions(max_tokens=40, stop=(stop,)))

    assert text_of(deltas) == whole[: whole.index(stop)]
    assert deltas[-1].finish == "stop"


def test_characters_come_whole_and_half_a_stop_sequence_is_given_in_the_end() -> None:
    tokenizer = make_tokenizer()
    ids = tokenizer.encode("déjà STO").ids
    reader = ReplyReader(tokenizer, ("STOP",))

    pieces = [reader.push(each) for each in ids]

    assert "".join(pieces) == "déjà "
    assert "�" not in "".join(pieces)
    assert reader.finish() == "STO"


async def test_a_closed_reply_frees_its_worker_at_the_next_token(llama: Llama) -> None:
    first = llama.chat(HELLO, [], LONG)
    await anext(first)

    await first.aclose()
    deltas = await asyncio.wait_for(said(llama, ChatOptions(max_tokens=2)), timeout=20)

    assert deltas[-1].usage is not None


async def test_a_reply_that_waits_for_a_worker_can_be_given_up(llama: Llama) -> None:
    speaking = llama.chat(HELLO, [], LONG)
    await anext(speaking)
    waiting = asyncio.create_task(said(llama, ChatOptions(max_tokens=2)))
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await speaking.aclose()

    assert waiting.cancelled()
    assert await said(llama, ChatOptions(max_tokens=2))


# ── what can be wrong ────────────────────────────────────────────────────────────────────────


async def test_a_conversation_beyond_the_context_is_refused_with_its_length(folder: Path) -> None:
    engine = Llama(LlamaOptions(model=str(folder), context_tokens=256))

    with pytest.raises(BadRequest, match=r"tokens long.*256.*context_tokens"):
        await said(engine, ChatOptions(), tools=[BOOK])
    await engine.close()


async def test_a_broken_model_is_told_plainly(tmp_path: Path) -> None:
    for name in ("config.json", "model.bin", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    engine = Llama(LlamaOptions(model=str(tmp_path)))

    with pytest.raises(EngineUnavailable, match="can't be loaded"):
        await said(engine, ChatOptions())
    await engine.close()


@pytest.mark.parametrize(
    ("value", "owns"),
    [
        ("1b", True),
        ("jncraton/Llama-3.2-3B-Instruct-ct2-int8", True),
        ("gpt-4o-mini", False),
        ("llama3.2:3b", False),
    ],
)
def test_a_shared_model_name_is_taken_only_when_it_can_be_ours(value: str, owns: bool) -> None:
    assert SPEC.owns_model(value) is owns


def test_a_process_that_ends_in_the_middle_of_a_reply_ends_quietly(folder: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from parley.engines.llm.llama import Llama, LlamaOptions\n"
        "from parley.engines.spec import ChatOptions\n"
        "async def main():\n"
        "    engine = Llama(LlamaOptions(model=sys.argv[1], workers=1, threads=1))\n"
        "    reply = engine.chat([{'role': 'user', 'content': 'a'}], [], ChatOptions())\n"
        "    await anext(reply)\n"
        "    await reply.aclose()\n"
        "asyncio.run(main())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")
