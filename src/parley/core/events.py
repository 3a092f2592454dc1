"""What happens in a call, as facts: frozen, with the call's id and a monotonic time.

Every transport shows the same events for the same conversation, in the same order.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from parley.core.call import CallInfo, EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The root of all events. ``at_s`` is ``time.monotonic()`` when it happened."""

    call_id: str
    at_s: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """The event's name on the wire and in logs: ``UserTranscript`` → ``user_transcript``."""
        return event_name(type(self))

    def to_dict(self) -> dict[str, Any]:
        return {"event": self.name, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(Event):
    """A session exists for the call; nobody may have been heard yet."""

    call: CallInfo

    def to_dict(self) -> dict[str, Any]:
        call = asdict(self.call) | {"started_at": self.call.started_at.isoformat()}
        return {"event": self.name, "call_id": self.call_id, "at_s": self.at_s, "call": call}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRinging(Event):
    """A call that goes out rings at the other end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaStarted(Event):
    """Sound can flow both ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnsweredBy(Event):
    """Who took a call that went out, as far as the sound tells.

    ``by`` is human, machine or unsure; ``rule`` is what told it: short_greeting, long_greeting,
    beep, silence or limit. ``after_ms`` counts from the answer.
    """

    by: str
    rule: str
    after_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSpeechStarted(Event):
    """The caller began to speak (voice activity confirmed).

    ``item_id`` names what is being said in all events about it; ``audio_ms`` is how much of the
    caller's sound had come when it was noticed.
    """

    item_id: str = ""
    audio_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSpeechStopped(Event):
    """The caller's turn is over: endpointing is sure, or has waited long enough.

    ``audio_ms`` is where in the caller's sound the last of it ended.
    """

    item_id: str = ""
    audio_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTranscript(Event):
    """What the caller said. A partial one is replaced by the next; a final one stands."""

    text: str
    final: bool
    item_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentText(Event):
    """A piece of the reply as the agent decided it, before it is heard."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpeechStarted(Event):
    """The first sound of the agent's reply went out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpeechStopped(Event):
    """The agent fell silent. ``played_ms`` is what went out since it started."""

    played_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded(Event):
    """The reply to one utterance was heard, or interrupted.

    ``stages`` are milliseconds: ``endpointing_ms``, ``stt_ms``, ``llm_ms``, ``tts_ms``,
    ``transport_ms`` and ``reply_ms`` (caller's last sound to agent's first); ``filler_ms`` to the
    first sound that told the caller to wait for a tool. ``heard`` is the text that was really
    played.
    """

    stages: dict[str, float]
    interrupted: bool
    heard: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetOverrun(Event):
    """A stage of a turn took longer than the agent's budget gives it.

    ``stage`` is one of ``TurnEnded.stages``; ``reply_ms`` is the whole.
    """

    stage: str
    took_ms: float
    budget_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted(Event):
    """The model asked for a tool."""

    tool: str
    tool_call_id: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolEnded(Event):
    """A tool answered, failed, ran out of time or was cancelled."""

    tool: str
    tool_call_id: str
    after_ms: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRefused(Event):
    """The model asked for a tool and it was not run.

    ``reason`` is unconfirmed (the caller has not been asked), declined (the caller said no) or
    too_many (it was the model's turn to answer).
    """

    tool: str
    tool_call_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFiller(Event):
    """The caller is told that a tool still works. It is spoken, and the model never sees it."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionSuspected(Event):
    """Somebody may be trying to give the model orders. It is told of, and nothing is blocked.

    ``where`` is user, or tool: and its name; ``rule`` is what was found.
    """

    where: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReplaced(Event):
    """An engine failed in mid-call and another took over. ``after_ms`` is how long it was given.

    ``kind`` is stt, llm or tts. With ``after_ms`` 0 the call did not wait: the engine had failed
    elsewhere and was passed over.
    """

    kind: str
    failed: str
    replacement: str
    reason: str
    after_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DtmfReceived(Event):
    """The caller pressed a key: 0-9, *, #, A-D.

    While a secret number is asked for, ``is_secret`` is true and ``digit`` is empty.
    """

    digit: str
    is_secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHeld(Event):
    """The call is on hold. ``by`` is who put it there: caller or agent."""

    by: str = "caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResumed(Event):
    """The call came back from hold; ``by`` is whose hold it was."""

    by: str = "caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTransferred(Event):
    """The call was handed on to ``target``."""

    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSkipped(Event):
    """Sound was dropped: ``where`` it was lost, how many ``ms``, and why."""

    where: str
    ms: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailed(Event):
    """Something broke. The call may go on; if not, ``CallEnded`` follows.

    ``kind`` is stt, llm or tts where an engine is what failed.
    """

    code: str
    message: str
    hint: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(Event):
    """The call is over and everything it held is free. Exactly one per call."""

    reason: EndReason
    duration_s: float


def event_name(event_type: type[Event]) -> str:
    name = event_type.__name__
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def event_types() -> list[type[Event]]:
    """Every event there is, in the order of this file."""
    # Not __subclasses__(): a dataclass with slots leaves its slotless twin there.
    found = [value for value in globals().values() if isinstance(value, type)]
    return [value for value in found if issubclass(value, Event) and value is not Event]
