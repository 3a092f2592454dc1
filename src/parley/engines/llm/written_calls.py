"""Finds tool calls in a stretch of text that is known to hold no words for the caller."""

from __future__ import annotations

import ast
import re
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from parley.engines.llm.arguments import fit_arguments
from parley.engines.llm.loose_json import object_in, values_in
from parley.engines.spec import ToolRequest, ToolSchema

_NAME_KEYS = ("name", "function", "tool", "tool_name", "function_name", "recipient_name", "action")
_ARGUMENT_KEYS = ("parameters", "arguments", "args", "params", "input", "action_input", "kwargs")
_FRAME_KEYS = ("function", "tool_calls", "tool_call", "function_call", "tool_uses", "calls", "tool")
_NEITHER = frozenset({"type", "id", "call_id", "index"})
_LONGEST_CODE = 4000

_NAMED_BODY = re.compile(
    r"<(?P<tag>function|invoke)(?:=|\s+name\s*=\s*)[\"']?(?P<name>[\w.:-]+)[\"']?\s*>"
    r"(?P<body>.*?)(?:</(?P=tag)>|(?=<(?P=tag)[=\s])|\Z)",
    re.DOTALL,
)
_PARAMETER = re.compile(
    r"<parameter(?:=|\s+name\s*=\s*)[\"']?(?P<key>[\w.-]+)[\"']?[^>]*>"
    r"(?P<value>.*?)(?:</parameter>|(?=<parameter[=\s])|\Z)",
    re.DOTALL,
)
_NAME_BEFORE = re.compile(
    r"(?P<name>[A-Za-z_][\w.-]*)(?::\d+)?\s*(?:<[|｜][^<>]*[|｜]>|```(?:json)?|json|:)?\s*\Z"
)
_MISTRAL_MARK = re.compile(r"\[CALL_ID\]\w*|\[ARGS\]")


class OfferedTools:
    """The tools that the model may call, by the names that it may write for them."""

    def __init__(self, tools: Sequence[ToolSchema]) -> None:
        self._tools = {_plain(tool.name): tool for tool in tools}
        self.names = tuple(tool.name for tool in tools)

    def find(self, name: str) -> ToolSchema | None:
        """``functions.find_time`` and ``Find-Time`` are ``find_time``."""
        return self._tools.get(_plain(name)) or self._tools.get(_plain(name.rpartition(".")[2]))

    def request(self, name: str, arguments: Mapping[str, Any]) -> ToolRequest | None:
        """The call, with its arguments as the tool wants them; None for a tool not offered."""
        tool = self.find(name)
        if tool is None:
            return None
        return ToolRequest(
            f"call_{uuid.uuid4().hex[:16]}", tool.name, fit_arguments(arguments, tool.parameters)
        )

    def mended(self, request: ToolRequest) -> ToolRequest:
        """A proper request of the engine, with its name and arguments as the tool wants them."""
        tool = self.find(request.name)
        if tool is None:
            return request
        arguments = fit_arguments(request.arguments, tool.parameters)
        return replace(request, name=tool.name, arguments=arguments)


def calls_in(text: str, tools: OfferedTools, name: str = "") -> list[ToolRequest]:
    """The calls of offered tools in ``text``; ``name`` is the tool's if its frame has told it."""
    if name:
        named = tools.request(name, _arguments_in(text))
        return [named] if named else []
    bodies = list(_NAMED_BODY.finditer(text))
    if bodies:
        found = [tools.request(body["name"], _arguments_in(body["body"])) for body in bodies]
        return [call for call in found if call]
    found = list(_json_calls(text, tools))
    return found or calls_in_code(text, tools)


def calls_in_code(text: str, tools: OfferedTools) -> list[ToolRequest]:
    """Calls written as Python: ``[find_time(day="Monday"), clock()]``, ``clock.call()``."""
    code = "\n".join(line for line in text.splitlines() if line.strip("` \t")).strip()
    code = re.sub(r"^(?:tool_code|python)\s*\n", "", code)
    if "(" not in code or len(code) > _LONGEST_CODE:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(code.replace(";", "\n"))
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        found = [_code_call(node, tools) for node in nodes]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [call for call in found if call]


def _code_call(node: ast.Call, tools: OfferedTools) -> ToolRequest | None:
    name = ast.unparse(node.func).removesuffix(".call")
    tool = tools.find(name)
    if tool is None:
        return None
    places = list(cast(Mapping[str, Any], tool.parameters.get("properties", {})))
    if len(node.args) > len(places):
        raise ValueError("more arguments than the tool takes")
    arguments = {
        place: ast.literal_eval(arg) for place, arg in zip(places, node.args, strict=False)
    }
    for keyword in node.keywords:
        if keyword.arg is None:
            arguments.update(ast.literal_eval(keyword.value))
        else:
            arguments[keyword.arg] = ast.literal_eval(keyword.value)
    return tools.request(name, arguments)


def _json_calls(text: str, tools: OfferedTools) -> Iterator[ToolRequest]:
    end = 0
    text = _MISTRAL_MARK.sub(" ", text)
    for found in values_in(text):
        calls = list(_calls_of(found.value, tools))
        before = _NAME_BEFORE.search(text[end : found.start])
        if not calls and before and isinstance(found.value, dict):
            call = tools.request(before["name"], cast(dict[str, Any], found.value))
            calls = [call] if call else []
        yield from calls
        end = found.end


def _calls_of(value: Any, tools: OfferedTools) -> Iterator[ToolRequest]:
    """Every shape in which a call is written: flat, framed, in a list, by its name as the key."""
    if isinstance(value, list):
        for item in cast(list[Any], value):
            yield from _calls_of(item, tools)
        return
    if not isinstance(value, dict):
        return
    fields = cast(dict[str, Any], value)
    call = _flat_call(fields, tools)
    if call:
        yield call
        return
    for key in _FRAME_KEYS:
        if isinstance(fields.get(key), dict | list):
            yield from _calls_of(fields[key], tools)
            return
    for key, inner in fields.items():
        if isinstance(inner, dict) and tools.find(key):
            by_key = tools.request(key, cast(dict[str, Any], inner))
            if by_key:
                yield by_key


def _flat_call(fields: Mapping[str, Any], tools: OfferedTools) -> ToolRequest | None:
    name_key = next((key for key in _NAME_KEYS if isinstance(fields.get(key), str)), "")
    if not name_key or tools.find(fields[name_key]) is None:
        return None
    for key in _ARGUMENT_KEYS:
        if key in fields:
            given = fields[key]
            arguments = object_in(given) if isinstance(given, str) else given
            plain = cast(dict[str, Any], arguments) if isinstance(arguments, dict) else {}
            return tools.request(fields[name_key], plain)
    rest = {k: v for k, v in fields.items() if k != name_key and k not in _NEITHER}
    return tools.request(fields[name_key], rest)


def _arguments_in(body: str) -> dict[str, Any]:
    """The arguments inside a named frame: a JSON object, or a tag for each."""
    tagged = {each["key"]: each["value"].strip() for each in _PARAMETER.finditer(body)}
    if tagged:
        return tagged
    arguments = object_in(body) or {}
    for key in _ARGUMENT_KEYS:
        if isinstance(arguments.get(key), dict) and len(arguments) <= 2:
            return cast(dict[str, Any], arguments[key])
    return arguments


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
