"""What ``/v1/tools/runs`` takes and gives."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from parley.store.records import RunState, ToolRunRecord
from parley.tools.runs import Delivered
from parley.tools.webhook.envelope import LONGEST_SENTENCE

Sentence = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_SENTENCE)
]


class AnswerError(BaseModel):
    """Why a tool could not do it."""

    code: Annotated[str, Field(description="A word for programs.")] = "failed"
    message: Annotated[str, Field(description="A sentence that the agent can pass on.")] = ""
    retryable: bool = False


NamedRun = Annotated[
    str | None,
    Field(description="The run's id, once more: needed where the request is signed."),
]


class RunAnswerBody(BaseModel):
    """A tool's answer: ``result`` with ``ok`` true, or ``error`` with ``ok`` false."""

    run_id: NamedRun = None
    ok: bool
    result: Annotated[Any, Field(description="What the model gets.")] = None
    error: AnswerError | None = None
    say: Annotated[str | None, Field(description="What the caller might be told.")] = None


class ProgressBody(BaseModel):
    """What the caller is told while the tool is still at work."""

    model_config = ConfigDict(extra="ignore")

    run_id: NamedRun = None
    say: Annotated[Sentence, Field(description="A short sentence.")]


class ShownDelivery(BaseModel):
    """Where it went: to the call, nowhere because nobody waits any more (late), or nowhere because
    it, or another answer, came before (duplicate)."""

    run_id: str
    delivered: Delivered


class ShownToolRun(BaseModel):
    """A run of a tool. ``arguments`` hold no secrets; ``answer`` is shortened.

    ``state`` is open while it runs, and late when an answer came after nobody waited for it any
    more. ``call_id`` may be that of a turn in writing.
    """

    id: str
    object: Literal["tool.run"] = "tool.run"
    call_id: str
    agent: str
    tool: str
    provider: str
    tool_call_id: str
    idempotency_key: str
    arguments: dict[str, Any]
    state: RunState
    answer: Annotated[Any, Field(description="JSON, or its beginning as text.")] = None
    error_code: str | None = None
    error: str | None = None
    started_at: datetime
    ended_at: datetime | None = None
    after_ms: int | None = None


class ShownToolRuns(BaseModel):
    """A page of runs, newest first. ``last_id`` is the next page's ``before``."""

    object: Literal["list"] = "list"
    data: list[ShownToolRun]
    first_id: str | None
    last_id: str | None
    has_more: bool


def shown_run(run: ToolRunRecord) -> ShownToolRun:
    return ShownToolRun(
        id=run.id,
        call_id=run.call_id,
        agent=run.agent,
        tool=run.tool,
        provider=run.provider,
        tool_call_id=run.tool_call_id,
        idempotency_key=run.idempotency_key,
        arguments=dict(run.arguments),
        state=run.state,
        answer=answer_of(run),
        error_code=run.error_code or None,
        error=run.error or None,
        started_at=run.started_at,
        ended_at=run.ended_at,
        after_ms=run.after_ms,
    )


def answer_of(run: ToolRunRecord) -> Any:
    """What the model got, or the beginning of it as text."""
    try:
        return json.loads(run.answer) if run.answer else None
    except ValueError:
        return run.answer
