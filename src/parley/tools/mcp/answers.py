"""What the model gets of an MCP server's answer."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from parley.core.errors import BadRequest, ToolFailed
from parley.tools.mcp.facts import Reply
from parley.tools.mcp.options import McpOptions
from parley.tools.webhook.answer import LARGEST_BODY_BYTES, shortened
from parley.tools.webhook.envelope import RunAnswer
from parley.tools.webhook.failures import Failure

LONGEST_ERROR = 500

_N8N_FAILED = "There was an error: "
_SDK_PREFIX = re.compile(r"Error executing tool [^\s:]+(: |$)")
_UNKNOWN = re.compile(r"unknown tool|tool .{0,80}\bnot found", re.IGNORECASE)
_ONLY_RESULT = {"result"}


def result_of(reply: Reply, tool: str, options: McpOptions, *, changes: bool) -> Any:
    """Raises ``ToolFailed`` with a sentence for the caller."""
    try:
        return _result_of(reply, tool, options, changes=changes)
    except RecursionError as error:
        # It is nested too deep.
        raise ToolFailed(Failure("no_data", "").sentence(tool, changes=changes)) from error


def _result_of(reply: Reply, tool: str, options: McpOptions, *, changes: bool) -> Any:
    if _is_too_large(reply):
        raise ToolFailed(Failure("too_large", "").sentence(tool, changes=changes))
    text = "\n".join(each.strip() for each in reply.texts if each.strip())
    if reply.is_error or text.startswith(_N8N_FAILED):
        raise ToolFailed(_failed(tool, text.removeprefix(_N8N_FAILED)))
    value = _unwrapped(reply.data if reply.data is not None else _parsed(text))
    if value in (None, "") and reply.others:
        raise ToolFailed(
            f"{_said(tool)} answered with {_named(reply.others[0])}, which I can't read out."
        )
    value = _envelope(value, tool)
    short = shortened(
        {"status": "done"} if value in (None, "") else value,
        most_items=options.most_items,
        most_bytes=options.max_answer_bytes,
    )
    if short is None:
        raise ToolFailed(Failure("too_large", "").sentence(tool, changes=changes))
    return short


def _is_too_large(reply: Reply) -> bool:
    # What is sent twice, as text and as data, counts once.
    texts = sum(len(each) for each in reply.texts)
    data = 0 if reply.data is None else len(json.dumps(reply.data, default=str))
    return max(texts, data) > LARGEST_BODY_BYTES


def is_unknown(says: str) -> bool:
    """Whether a server means that it has no such tool."""
    return _UNKNOWN.search(says) is not None


def _failed(tool: str, text: str) -> str:
    text, _, _ = _SDK_PREFIX.sub("", text.strip()).partition("For further information visit")
    words = " ".join(text.strip().strip('"').split())[:LONGEST_ERROR]
    if is_unknown(words):
        return Failure("not_there", words).sentence(tool)
    if not words:
        return Failure("broken", "").sentence(tool)
    try:
        # Some servers put an envelope into their errors, too.
        return _said_error(json.loads(words)) or words
    except ValueError:
        return words


def _said_error(value: object) -> str:
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    error = fields.get("error", fields.get("message"))
    if isinstance(error, dict):
        error = cast("dict[str, Any]", error).get("message")
    return error if isinstance(error, str) else ""


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _unwrapped(value: Any) -> Any:
    """Without what only carries it: a list of one object, an object of one "result"."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        if fields.keys() == _ONLY_RESULT:
            inner = fields["result"]
            return _unwrapped(_parsed(inner) if isinstance(inner, str) else inner)
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if len(items) == 1 and isinstance(items[0], dict):
            return cast("dict[str, Any]", items[0])
    return cast(Any, value)


def _envelope(value: Any, tool: str) -> Any:
    """The result out of Parley's own envelope, where it is one."""
    if not (isinstance(value, dict) and "ok" in value):
        return cast(Any, value)
    try:
        answer = RunAnswer.read(cast(object, value))
    except BadRequest:
        return cast(Any, value)
    if not answer.ok:
        raise ToolFailed(answer.say or answer.error or Failure("broken", "").sentence(tool))
    if not answer.say:
        return answer.result
    if isinstance(answer.result, dict):
        return {**cast("dict[str, Any]", answer.result), "say": answer.say}
    return {"result": answer.result, "say": answer.say}


def _said(tool: str) -> str:
    return f"The service for {tool.replace('_', ' ')}"


def _named(kind: str) -> str:
    return {"image": "a picture", "audio": "a recording"}.get(kind, "a file")
