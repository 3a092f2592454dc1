"""What ``/v1/calls`` takes and gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from parley.api.tool_runs_bodies import ShownToolRun
from parley.core.spelling import LINE, Spelling
from parley.session.live_call import LiveCall
from parley.store.records import CallRecord, ToolUseRecord, TurnRecord

LONGEST_TEXT = 4096
LONGEST_TARGET = 200
LONGEST_DIGITS = 64
LONGEST_WAIT_S = 120.0

CallStatus = Literal["ringing", "live", "ending", "ended", "unknown"]
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TEXT)
]
Target = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TARGET),
    # It ends up in a header of the telephone network's.
    LINE,
]


class Say(BaseModel):
    """A sentence to be spoken."""

    model_config = ConfigDict(extra="ignore")

    text: Annotated[Text, Field(description="What the agent is to say.")]
    interrupt: Annotated[bool, Field(description="Say it in the place of what is being said.")] = (
        False
    )


class Ask(BaseModel):
    """A question, and how long the caller has to answer it."""

    model_config = ConfigDict(extra="ignore")

    text: Annotated[Text, Field(description="The question.")]
    timeout_s: Annotated[
        float, Field(ge=1, le=LONGEST_WAIT_S, description="How long to wait for the answer.")
    ] = 30.0


class Transfer(BaseModel):
    """Whom to hand the caller on to."""

    model_config = ConfigDict(extra="ignore")

    target: Annotated[Target, Field(description="A number or a SIP address.")]


class Digits(BaseModel):
    """Keys to be pressed."""

    model_config = ConfigDict(extra="ignore")

    digits: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_DIGITS),
        Spelling(r"[0-9*#A-Da-d]+", "the keys of a telephone: 0-9, *, # and A-D"),
        Field(description="The keys, in order: 0-9, *, #, A-D."),
    ]


class ShownCall(BaseModel):
    """A call.

    ``status`` is ringing until somebody answers a call that goes out. It is unknown for a call
    that neither is here nor has an end on record: another server has it, or had it and has not
    come back since it was cut off.
    """

    id: str
    object: Literal["call"] = "call"
    status: CallStatus
    agent: str
    transport: str
    direction: str
    caller: str
    callee: Annotated[str | None, Field(description="Whom a call that goes out is for.")] = None
    started_at: datetime
    ended_at: datetime | None = None
    duration_s: float | None = None
    reason: Annotated[str | None, Field(description="Why it ended.")] = None
    detail: Annotated[str | None, Field(description="What there is to say beyond the reason.")] = (
        None
    )


class ShownCalls(BaseModel):
    """A page of calls, newest first. ``last_id`` is the next page's ``before``."""

    object: Literal["list"] = "list"
    data: list[ShownCall]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ShownToolUse(BaseModel):
    """A tool that was used; ``error`` is null unless it failed."""

    name: str
    at: datetime
    after_ms: int
    error: str | None = None


class ShownCallInFull(ShownCall):
    """A call, with the tools that have been used in it: in short, and in full."""

    tools: list[ShownToolUse]
    tool_runs: list[ShownToolRun]


class ShownTurn(BaseModel):
    """One thing that was said. Of a reply that was interrupted it is what was heard.

    ``stages`` are a reply's milliseconds by stage: ``reply_ms`` is the whole, from the caller's
    last sound to the agent's first.
    """

    role: Literal["user", "agent"]
    text: str
    at: datetime
    interrupted: bool = False
    stages: dict[str, float] | None = None


class ShownTranscript(BaseModel):
    """What was said in a call, in order."""

    object: Literal["call.transcript"] = "call.transcript"
    call_id: str
    status: CallStatus
    data: list[ShownTurn]


class ShownAnswer(BaseModel):
    """What the caller said to a question."""

    object: Literal["call.answer"] = "call.answer"
    call_id: str
    text: str


def shown(record: CallRecord, live: LiveCall | None) -> ShownCall:
    """The call as it is now: what the host knows of a live one goes before what is kept."""
    status = _status(record, live)
    ended_at = record.ended_at if status == "ended" else None
    until = ended_at if live is None else datetime.now(UTC)
    return ShownCall(
        id=record.id,
        status=status,
        agent=record.agent,
        transport=record.transport,
        direction=record.direction,
        caller=record.caller,
        callee=record.callee or None,
        started_at=record.started_at,
        ended_at=ended_at,
        duration_s=round((until - record.started_at).total_seconds(), 3) if until else None,
        reason=record.reason if ended_at else None,
        detail=(record.detail or None) if ended_at else None,
    )


def shown_turn(turn: TurnRecord) -> ShownTurn:
    return ShownTurn(
        role=turn.role,
        text=turn.text,
        at=turn.said_at,
        interrupted=turn.interrupted,
        stages=dict(turn.stages) or None,
    )


def shown_tool_use(use: ToolUseRecord) -> ShownToolUse:
    return ShownToolUse(
        name=use.tool, at=use.ended_at, after_ms=use.after_ms, error=use.error or None
    )


def _status(record: CallRecord, live: LiveCall | None) -> CallStatus:
    if live is not None:
        if live.is_ending:
            return "ending"
        return "ringing" if live.is_ringing else "live"
    return "ended" if record.ended_at else "unknown"
