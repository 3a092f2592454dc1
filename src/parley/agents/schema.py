"""What an agent's file may say, and what the rest of Parley knows of an agent."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)

from parley.engines.fallback.limits import USUAL_LIMITS, ChainLimits, StageLimits
from parley.engines.llm.refusals import REFUSAL, Refusals
from parley.engines.spec import Kind
from parley.engines.wish import ANY, Wishes, read_wishes
from parley.tools.rules import ToolRules

HELPFUL = (
    "You are a friendly voice assistant on the telephone. Answer in one or two short sentences, "
    "in words that can be spoken."
)

AgentKey = tuple[str, str]
"""Tenant and name: two tenants may have agents of the same name."""

VariantKey = tuple[str, str, str]
"""The same and the way in: whoever comes by that may find other engines."""

Sentences = tuple[Annotated[str, Field(min_length=1, max_length=200)], ...]

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


class Part(BaseModel):
    """Base of everything in an agent's file: unknown keys are refused, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _text_form(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


def _known_time_zone(value: object) -> object:
    if isinstance(value, str) and value:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("takes a name such as Europe/London or America/New_York") from error
    return value


def _language_tag(value: object) -> object:
    if isinstance(value, str) and not _LANGUAGE.fullmatch(value):
        raise ValueError("takes a language tag such as en, en-GB or de, or auto")
    return value


def _pattern(value: object) -> object:
    try:
        re.compile(value if isinstance(value, str) else "")
    except re.error as error:
        raise ValueError(f"takes a regular expression; this one is broken: {error}") from error
    return value


def _wishes(value: object, info: ValidationInfo) -> Wishes:
    context = cast(Mapping[str, str], info.context or {})
    return read_wishes(value, by=context.get("by", ""))


def _tool_form(value: object) -> object:
    """``clock`` → ``{name: clock}``; ``{calendar: {opens: …}}`` → name and options."""
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict) or len(cast(dict[object, object], value)) != 1:
        raise ValueError("takes a name, or one name with its options below it")
    ((name, options),) = cast(dict[object, object], value).items()
    return {"name": name, "options": {} if options is None else options}


class Greeting(Part):
    """The first words: a ``text`` to say, or an ``instruction`` that the model turns into one."""

    text: str = ""
    instruction: str = ""

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Greeting:
        if self.text and self.instruction:
            raise ValueError("takes text or instruction, not both")
        return self


class Vad(Part):
    """When sound counts as speech. ``min_volume`` is relative: 0 silence, 1 as loud as can be."""

    confidence: float = Field(default=0.7, ge=0, le=1)
    start_ms: int = Field(default=120, ge=0, le=2000)
    stop_ms: int = Field(default=200, ge=20, le=5000)
    min_volume: float = Field(default=0.6, ge=0, le=1)


class TurnTaking(Part):
    """Who speaks when.

    ``unsure_wait_ms`` is the wait when Smart Turn is unsure whether the caller has finished;
    ``silence_ms`` is the whole silence that ends a turn with ``endpointing: silence``. With 0,
    ``idle_s``, ``hold_s`` (which counts while the call is on hold) and ``max_call_s`` never end a
    call.
    """

    vad: Vad = Vad()
    endpointing: Literal["smart_turn", "silence"] = "smart_turn"
    unsure_wait_ms: int = Field(default=600, ge=0, le=10_000)
    silence_ms: int = Field(default=600, ge=20, le=10_000)
    interruptions: bool = True
    wake_phrases: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    idle_s: float = Field(default=120, ge=0, le=86_400)
    hold_s: float = Field(default=900, ge=0, le=86_400)
    max_call_s: float = Field(default=3600, ge=0, le=86_400)


class Sorry(Part):
    """What the caller hears when the engine of that kind fails, or when the model says nothing
    about what came of a ``tool``."""

    stt: str = "Sorry, I didn't catch that. Could you say it again?"
    llm: str = "Sorry, something went wrong on my side. Could you say that again?"
    tts: str = "Sorry, I lost my voice for a moment. Please go on."
    tool: str = "I'm sorry, I couldn't get that done just now. Shall I try it once more?"


class Safety(Part):
    """What the agent must not say: a sentence of a reply in which one of the patterns ``refuse``
    (regular expressions, case ignored) is found is replaced by ``sentence``, once per reply."""

    refuse: tuple[Annotated[str, BeforeValidator(_pattern), Field(min_length=1)], ...] = ()
    sentence: str = REFUSAL

    def refusals(self) -> Refusals | None:
        if not self.refuse:
            return None
        patterns = tuple(re.compile(pattern, re.IGNORECASE) for pattern in self.refuse)
        return Refusals(patterns, self.sentence)


class TurnBudget(Part):
    """How long each stage of a turn may take; who takes longer is told of by an event.

    The names are those of ``TurnEnded.stages``: from the detected end of speech to the
    transcript, from the end of the turn to the reply's first words, from those to its first
    sound, and from the caller's last sound to the agent's first.
    """

    stt_ms: float = Field(default=500, gt=0)
    llm_ms: float = Field(default=400, gt=0)
    tts_ms: float = Field(default=700, gt=0)
    reply_ms: float = Field(default=1500, gt=0)

    def overruns(self, stages: Mapping[str, float]) -> list[tuple[str, float, float]]:
        """Which stages took too long, as name, what it took and what it had, in milliseconds."""
        allowed: dict[str, float] = self.model_dump()
        return [
            (stage, stages[stage], most)
            for stage, most in allowed.items()
            if stages.get(stage, 0.0) > most
        ]


class ToolUse(Part):
    """One tool that the agent may use, with options of its own."""

    name: str = Field(min_length=1)
    options: dict[str, Any] = {}


class Engines(Part):
    """Who hears, thinks and speaks for the agent."""

    stt: Annotated[Wishes, BeforeValidator(_wishes)] = ANY
    llm: Annotated[Wishes, BeforeValidator(_wishes)] = ANY
    tts: Annotated[Wishes, BeforeValidator(_wishes)] = ANY

    def wishes(self) -> Mapping[Kind, Wishes]:
        return {"stt": self.stt, "llm": self.llm, "tts": self.tts}


class StageTimes(Part):
    """How long an engine may take: until its first result, between two, and its whole chain."""

    first_ms: int = Field(ge=50, le=120_000)
    gap_ms: int = Field(ge=50, le=120_000)
    patience_ms: int = Field(ge=50, le=120_000)

    def seconds(self) -> StageLimits:
        return StageLimits(self.first_ms / 1000, self.gap_ms / 1000, self.patience_ms / 1000)


def _times(usual: StageLimits) -> StageTimes:
    return StageTimes(
        first_ms=round(usual.first_s * 1000),
        gap_ms=round(usual.gap_s * 1000),
        patience_ms=round(usual.patience_s * 1000),
    )


def _with_usual(value: object, info: ValidationInfo) -> object:
    """What a file leaves out of a stage's times has its usual value."""
    if not isinstance(value, dict):
        return value
    usual = _times(getattr(USUAL_LIMITS, str(info.field_name)))
    return {**usual.model_dump(), **cast(dict[str, Any], value)}


class Limits(Part):
    """When an engine counts as failed and the next one in its chain is asked."""

    stt: Annotated[StageTimes, BeforeValidator(_with_usual)] = _times(USUAL_LIMITS.stt)
    llm: Annotated[StageTimes, BeforeValidator(_with_usual)] = _times(USUAL_LIMITS.llm)
    tts: Annotated[StageTimes, BeforeValidator(_with_usual)] = _times(USUAL_LIMITS.tts)

    def seconds(self) -> ChainLimits:
        return ChainLimits(self.stt.seconds(), self.llm.seconds(), self.tts.seconds())


class Agent(Part):
    """Who answers. A call keeps the one that it started with.

    ``name`` is the file's name, and ``tenant`` whose folder it is in; "" is everybody's.
    ``voice`` "" is the engine's own; ``speech_speed`` is a factor; ``time_zone`` "" is the
    machine's. Without a ``budget`` no turn is too slow. ``tool_rules`` has what holds for single
    tools, by their names. ``fillers`` are said when a tool takes longer, ``still_working`` when it
    takes much longer; None is the language's own.
    """

    name: str
    tenant: str = ""
    title: str = ""
    description: str = ""
    greeting: Annotated[Greeting, BeforeValidator(_text_form)] = Greeting(
        text="Hello! How can I help you?"
    )
    instructions: str = HELPFUL
    language: Annotated[str, BeforeValidator(_language_tag)] = "en"
    engines: Engines = Engines()
    limits: Limits = Limits()
    voice: str = ""
    speech_speed: float = Field(default=1.0, ge=0.25, le=4)
    turn_taking: TurnTaking = TurnTaking()
    budget: TurnBudget | None = None
    tools: tuple[Annotated[ToolUse, BeforeValidator(_tool_form)], ...] = ()
    tool_rules: Mapping[str, ToolRules] = {}
    fillers: Sentences | None = None
    still_working: Sentences | None = None
    sorry: Sorry = Sorry()
    safety: Safety = Safety()
    goodbye: str = "Thank you for calling. Goodbye."
    time_zone: Annotated[str, BeforeValidator(_known_time_zone)] = ""

    _way_in: str = PrivateAttr(default="")

    @property
    def key(self) -> AgentKey:
        """What tells it from all others."""
        return self.tenant, self.name

    @property
    def variant_key(self) -> VariantKey:
        """What tells it from itself as others find it."""
        return self.tenant, self.name, self._way_in

    def by_way_of(self, way_in: str, engines: Engines) -> Agent:
        """The agent as those find it who come by a way in that has engines of its own."""
        variant = self.model_copy(update={"engines": engines})
        variant._way_in = way_in
        return variant

    @property
    def label(self) -> str:
        """What people see: the title, or else the name."""
        return self.title or self.name
