"""Gives every tool call an id of its own: some models number theirs anew in every reply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from parley.engines.llm.gathering import new_call_id
from parley.engines.spec import ToolRequest


def ids_in(messages: Iterable[object]) -> set[str]:
    """The ids of all tool calls that a conversation has so far."""
    found: set[str] = set()
    for message in messages:
        if isinstance(message, Mapping):
            fields = cast("Mapping[str, Any]", message)
            calls = cast("Sequence[Mapping[str, Any]]", fields.get("tool_calls") or ())
            found.update(str(call.get("id")) for call in calls)
            found.add(str(fields.get("tool_call_id")))
    return found


def with_fresh_ids(requests: Sequence[ToolRequest], taken: set[str]) -> tuple[ToolRequest, ...]:
    """The requests, each with an id of its own; their ids are ``taken`` from then on.

    By its id a result finds its request, a confirmation its question, and a second attempt its
    first.
    """
    fresh: list[ToolRequest] = []
    for request in requests:
        own = replace(request, id=new_call_id()) if request.id in taken else request
        taken.add(own.id)
        fresh.append(own)
    return tuple(fresh)
