"""One session's configuration: what the client asked for over what its agent would do."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from parley.agents.schema import Agent, TurnTaking
from parley.session.reply import ReplyWish
from parley.transports.realtime.session_form import (
    MOST_TOKENS,
    PCM_RATE_HZ,
    Form,
    NamedTool,
    SemanticVad,
    ServerVad,
    SessionForm,
    ToolChoice,
    read_form,
)
from parley.transports.realtime.wire import Fault, new_id

LONGEST_SESSION_S = 3600
MOST_TOOL_CHARACTERS = 256 * 1024
"""Every change of the session checks its tools again, and every answer to one shows them."""
_UNSURE_WAIT_MS = {"low": 3000, "high": 250}
"""How long an unfinished sentence is waited for; medium and auto are the agent's own."""
_NOTICING_MS = 80
"""What voice activity detection takes besides the time that it waits to be sure."""
_INSIDE_AUDIO = ("input", "output")
_CLEARED_BY_NULL = frozenset(
    {"transcription", "noise_reduction", "turn_detection", "tracing", "include", "prompt"}
)
"""What else is null stays as it is, but for instructions, which are "" then."""


@dataclass(frozen=True)
class Wished:
    """A session as it will be; ``form`` is ``fields`` checked."""

    fields: dict[str, Any]
    form: SessionForm


class SessionConfig:
    """``shown`` is the object that clients see, ``form`` the same checked; ``tenant`` is whose
    session it is."""

    def __init__(
        self,
        agent: Agent,
        model: str,
        fields: Mapping[str, Any],
        *,
        is_agent: bool,
        tenant: str = "",
    ) -> None:
        self._agent = agent
        self.tenant = tenant
        self._model = model
        self.id = new_id("sess")
        lasts_s = min(LONGEST_SESSION_S, agent.turn_taking.max_call_s or LONGEST_SESSION_S)
        self.expires_at = int(time.time() + lasts_s)
        kind = "transcription" if fields.get("type") == "transcription" else "realtime"
        self._fields = _usual(agent, kind, is_agent=is_agent)
        self.form = read_form(self._fields)
        self.update(fields)

    def update(self, change: Mapping[str, Any]) -> None:
        """Merge a client's ``session`` in. Raises ``Fault``; then everything is as it was."""
        self.take(self.with_change(change))

    def with_change(self, change: Mapping[str, Any]) -> Wished:
        """A client's ``session`` merged in, for ``take``. Raises ``Fault``."""
        asked = change.get("type", self._fields["type"])
        if asked != self._fields["type"]:
            raise Fault(
                f"The type of this session is {self._fields['type']} and stays so.",
                code="invalid_value",
                param="session.type",
            )
        if "tools" in change:
            _require_short(change["tools"])
        # Nothing below these two levels is ever changed in place.
        audio = {side: dict(part) for side, part in self._fields["audio"].items()}
        merged = {**self._fields, "audio": audio}
        for name, value in change.items():
            if name == "audio":
                _merge_audio(merged, value)
            elif name == "instructions" and value is None:
                merged[name] = ""
            elif name in merged and (value is not None or name in _CLEARED_BY_NULL):
                merged[name] = value
        return Wished(merged, read_form(merged))

    def take(self, wished: Wished) -> None:
        """Be like that from here on."""
        self._fields, self.form = wished.fields, wished.form

    def shown(self) -> dict[str, Any]:
        """The whole effective session, as ``session.created`` and ``session.updated`` tell it."""
        form, audio = self.form, self.form.audio
        given = {
            "id": self.id,
            "object": f"realtime.{'transcription_session' if self.transcribes else 'session'}",
            "type": form.type,
            "expires_at": self.expires_at,
            "include": None if form.include is None else list(form.include),
        }
        heard = {
            "format": audio.input.format.shown(),
            "transcription": _as_given(audio.input.transcription),
            "noise_reduction": _as_given(audio.input.noise_reduction),
            "turn_detection": _shown_detection(form),
        }
        if self.transcribes:
            return {**given, "audio": {"input": heard}}
        spoken = {
            "format": audio.output.format.shown(),
            "voice": audio.output.voice,
            "speed": audio.output.speed,
        }
        tokens = form.max_output_tokens
        return {
            **given,
            "model": self._model,
            "output_modalities": list(form.output_modalities),
            "instructions": form.instructions,
            "tools": [tool.model_dump() for tool in form.tools],
            "tool_choice": _shown_choice(form.tool_choice),
            "max_output_tokens": "inf" if tokens == MOST_TOKENS else tokens,
            "truncation": _as_given(form.truncation),
            "tracing": _as_given(form.tracing),
            "prompt": None,
            "audio": {"input": heard, "output": spoken},
        }

    @property
    def transcribes(self) -> bool:
        return self.form.type == "transcription"

    @property
    def tells_transcripts(self) -> bool:
        return self.transcribes or self.form.audio.input.transcription is not None

    @property
    def answers(self) -> bool:
        """Whether a turn that has ended is answered without being asked."""
        detection = self.form.audio.input.turn_detection
        return not self.transcribes and detection is not None and detection.create_response

    @property
    def padding_ms(self) -> int:
        detection = self.form.audio.input.turn_detection
        return detection.prefix_padding_ms if isinstance(detection, ServerVad) else 300

    @property
    def preroll_ms(self) -> int:
        """How much of what came before is part of a turn when its speech is noticed."""
        return self.padding_ms + self._agent.turn_taking.vad.start_ms + _NOTICING_MS

    @property
    def idle_timeout_s(self) -> float | None:
        """How long a silent user is waited for after a reply; None: for ever."""
        detection = self.form.audio.input.turn_detection
        timeout_ms = detection.idle_timeout_ms if isinstance(detection, ServerVad) else None
        return None if timeout_ms is None or self.transcribes else timeout_ms / 1000

    def turn_taking(self) -> TurnTaking | None:
        """How turns are parted; None: by the client's commits."""
        detection = self.form.audio.input.turn_detection
        own = self._agent.turn_taking
        if detection is None:
            return None
        if isinstance(detection, SemanticVad):
            wait_ms = _UNSURE_WAIT_MS.get(detection.eagerness, own.unsure_wait_ms)
            change: dict[str, Any] = {"endpointing": "smart_turn", "unsure_wait_ms": wait_ms}
        else:
            stop_ms = min(own.vad.stop_ms, detection.silence_duration_ms)
            vad = own.vad.model_copy(update={"confidence": detection.threshold, "stop_ms": stop_ms})
            silence_ms = detection.silence_duration_ms
            change = {"endpointing": "silence", "silence_ms": silence_ms, "vad": vad}
        return own.model_copy(update=change | {"interruptions": detection.interrupt_response})

    def usual_reply(self) -> ReplyWish:
        """How replies are unless one is asked for differently."""
        form = self.form
        return ReplyWish(
            tools=tuple(tool.schema_of() for tool in form.tools),
            tool_choice=choice_of(form.tool_choice),
            max_tokens=None if form.max_output_tokens == MOST_TOKENS else form.max_output_tokens,
            text_only=not form.is_spoken,
        )


def choice_of(choice: ToolChoice) -> str:
    """A tool choice as engines take it; auto is what they do anyway."""
    if isinstance(choice, NamedTool):
        return choice.name
    return "" if choice == "auto" else choice


def _usual(agent: Agent, kind: str, *, is_agent: bool) -> dict[str, Any]:
    detection: dict[str, Any] = {"type": "server_vad"}
    if is_agent and agent.turn_taking.endpointing == "smart_turn":
        detection = {"type": "semantic_vad"}
    elif is_agent:
        detection["silence_duration_ms"] = agent.turn_taking.silence_ms
    if is_agent:
        detection["interrupt_response"] = agent.turn_taking.interruptions
    pcm = {"type": "audio/pcm", "rate": PCM_RATE_HZ}
    return {
        "type": kind,
        "output_modalities": ["audio"],
        "instructions": agent.instructions if is_agent else "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "truncation": "auto",
        "tracing": None,
        "prompt": None,
        "include": None,
        "audio": {
            "input": {
                "format": pcm,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": detection,
            },
            "output": {"format": pcm, "voice": agent.voice, "speed": 1.0},
        },
    }


def _require_short(tools: object) -> None:
    length = len(json.dumps(tools))
    if length > MOST_TOOL_CHARACTERS:
        raise Fault(
            f"The tools have {length:,} characters; a session takes {MOST_TOOL_CHARACTERS:,}.",
            code="string_above_max_length",
            param="session.tools",
        )


def _merge_audio(merged: dict[str, Any], change: object) -> None:
    if not isinstance(change, dict):
        raise Fault("session.audio is an object.", param="session.audio")
    for side in _INSIDE_AUDIO:
        part = cast(dict[str, Any], change).get(side)
        if part is None:
            continue
        if not isinstance(part, dict):
            raise Fault(f"session.audio.{side} is an object.", param=f"session.audio.{side}")
        known = cast(dict[str, Any], merged["audio"][side])
        for name, value in cast(dict[str, Any], part).items():
            if name in known and (value is not None or name in _CLEARED_BY_NULL):
                known[name] = value


def _as_given(value: Form | str | None) -> Any:
    """With the keys that the client has set, and no others: some clients read strictly."""
    if not isinstance(value, Form):
        return value
    return value.model_dump(mode="json", exclude_unset=True)


def _shown_detection(form: SessionForm) -> dict[str, Any] | None:
    detection = form.audio.input.turn_detection
    return detection.model_dump() if detection else None


def _shown_choice(choice: ToolChoice) -> str | dict[str, str]:
    return {"type": "function", "name": choice.name} if isinstance(choice, NamedTool) else choice
