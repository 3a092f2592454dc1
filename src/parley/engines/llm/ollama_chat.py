"""Ollama's own chat route: its messages, its bodies, and the lines that it streams."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any, cast

import httpx

from parley.core.errors import EngineFailed
from parley.engines.llm.arguments import arguments_from
from parley.engines.llm.chat_api import posted, read_tail
from parley.engines.llm.event_lines import JsonLines
from parley.engines.llm.gathering import new_call_id
from parley.engines.llm.messages import plain_messages, tool_list
from parley.engines.remote.addresses import without_password
from parley.engines.remote.failures import told_plainly
from parley.engines.spec import ChatOptions, Delta, Message, ToolRequest, ToolSchema, Usage

_FINISHES = ("stop", "length")


def native_body(
    messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
) -> dict[str, Any]:
    """The body of a streamed chat; ``options`` as ``RemoteChatOptions.asked`` gives them.

    Ollama knows no ``tool_choice``: which tools are offered is all that can be chosen.
    """
    settings: dict[str, Any] = {"num_predict": options.max_tokens}
    if options.temperature is not None:
        settings["temperature"] = options.temperature
    if options.top_p is not None:
        settings["top_p"] = options.top_p
    if options.stop:
        settings["stop"] = list(options.stop)
    if options.seed is not None:
        settings["seed"] = options.seed
    body: dict[str, Any] = {
        "model": options.model,
        "messages": _native_messages(messages),
        "stream": True,
        "options": settings,
    }
    offered = [tool for tool in tools if options.tool_choice in ("", "auto", "required", tool.name)]
    if offered:
        body["tools"] = tool_list(offered)
    if options.response_format:
        body["format"] = _format(options.response_format)
    return body


def _format(wanted: Mapping[str, Any]) -> Any:
    """Ollama takes the schema itself, or the word ``json``."""
    described = cast("Mapping[str, Any]", wanted.get("json_schema") or {})
    return described.get("schema") or "json"


async def native_replies(
    engine: str, url: str, client: httpx.AsyncClient, body: dict[str, Any]
) -> AsyncGenerator[Delta]:
    """Ask and read the reply. Closing the iterator closes the connection."""
    lines, reply = JsonLines(), _Reply(engine, url)
    with told_plainly(engine, url):
        async with posted(engine, client, "api/chat", body) as pieces:
            async for piece in pieces:
                for line in lines.push(piece):
                    for delta in reply.take(line):
                        yield delta
                if reply.is_done:
                    break
            for line in lines.end():
                for delta in reply.take(line):
                    yield delta
            if not reply.is_done:
                raise EngineFailed(f"{reply.where} stopped in the middle of its answer.")
            await read_tail(pieces)


class _Reply:
    """The deltas in what Ollama streams."""

    def __init__(self, engine: str, url: str) -> None:
        self.where = f"{engine} at {without_password(url)}"
        self.is_done = False
        self._has_tools = False

    def take(self, line: dict[str, Any]) -> Iterable[Delta]:
        if line.get("error"):
            says = " ".join(str(line["error"]).split())[:300]
            raise EngineFailed(f"{self.where} broke the reply off: {says}")
        message: dict[str, Any] = line.get("message") or {}
        text = message.get("content")
        tools = tuple(_request(call) for call in message.get("tool_calls") or ())
        if text or tools or message.get("thinking"):
            # Empty while the model reasons: a sign of life.
            self._has_tools = self._has_tools or bool(tools)
            yield Delta(text=str(text or ""), tools=tools)
        if line.get("done"):
            self.is_done = True
            reason = str(line.get("done_reason") or "stop")
            finish = "tool_calls" if self._has_tools else reason
            yield Delta(usage=_usage(line), finish=finish if reason in _FINISHES else "stop")


def _native_messages(messages: Sequence[Message]) -> list[Message]:
    native: list[Message] = []
    names: dict[str, str] = {}
    for message in plain_messages(messages):
        mine: Message = {"role": message["role"], "content": message["content"]}
        if message["role"] == "tool":
            mine["tool_name"] = names.get(message["tool_call_id"], "")
        for call in message.get("tool_calls", ()):
            function = call["function"]
            names[call["id"]] = function["name"]
            arguments = _past_arguments(function["arguments"])
            mine.setdefault("tool_calls", []).append(
                {"function": {"name": function["name"], "arguments": arguments}}
            )
        native.append(mine)
    return native


def _past_arguments(text: str) -> dict[str, Any]:
    """Ollama wants them as an object; what was wrong in the past can't be helped now."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _request(call: dict[str, Any]) -> ToolRequest:
    function: dict[str, Any] = call.get("function") or {}
    name, arguments = str(function.get("name") or ""), function.get("arguments")
    if not name:
        raise EngineFailed("The model called a tool without saying which.")
    if not isinstance(arguments, dict):
        arguments = arguments_from(arguments if isinstance(arguments, str) else "")
    return ToolRequest(
        str(call.get("id") or "") or new_call_id(), name, cast("dict[str, Any]", arguments)
    )


def _usage(line: dict[str, Any]) -> Usage:
    return Usage(int(line.get("prompt_eval_count") or 0), int(line.get("eval_count") or 0))
