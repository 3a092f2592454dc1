"""What an engine is: the three plain functions, their options, and the spec that names them.

An engine is one file that ends in ``SPEC = EngineSpec(...)``, found through the entry points
``parley.stt``, ``parley.llm`` and ``parley.tts``. The catalog opens it once per process (and per
set of options); every call and every HTTP request shares that one object. The processors for a
live call (``stt/live.py``, ``llm/live.py``, ``tts/live.py``) are built on the plain functions.

Closing an iterator that a plain function gave cancels the work behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict

from parley.core.audio import Audio

Kind = Literal["stt", "llm", "tts"]
Ability = Literal["words", "translate"]
"""What not every recogniser can: tell when each word was said, and translate into English."""

Message = dict[str, Any]
"""One chat message in OpenAI's form: role, content, tool_calls, tool_call_id."""


class EngineOptions(BaseModel):
    """Base of every engine's options: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Status:
    """Whether an engine can work now. ``hint`` says what to do when it can't.

    ``missing_model`` names the model whose absence is the only obstacle: pulling it helps. An
    engine with several servers, of which some lack it, is ``ok`` all the same.
    """

    ok: bool
    detail: str = ""
    hint: str = ""
    missing_model: str = ""


# ── hearing ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class TranscribeOptions:
    """``grammar`` is JSGF text of all that can be said; only engines that can use it do.

    ``language`` "" lets the engine find out, where it can. ``tenant`` is whose request it is.
    """

    language: str = "en"
    prompt: str = ""
    words: bool = False
    translate: bool = False
    grammar: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class TranscriptPart:
    """A partial one is replaced by the next part; a final one stands."""

    text: str
    final: bool
    start_ms: int = 0
    end_ms: int = 0
    words: tuple[Word, ...] = ()


class Transcriber(Protocol):
    """An STT engine, open and shared by all calls."""

    async def warm_up(self) -> None: ...

    async def check(self) -> Status: ...

    def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncIterator[TranscriptPart]:
        """Hear one utterance. Audio is s16le mono at 16 kHz; it ends when the speaker does.

        The last part is final, with an empty text when nobody spoke.
        """
        ...

    async def close(self) -> None: ...


# ── thinking ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """What the model is told of a tool. ``parameters`` is a JSON schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """``conversation`` is one call's name: an engine may keep that prompt warm between turns.

    ``tool_choice`` is OpenAI's: auto, none, required, or a tool's name. ``time_zone`` is where
    the caller's "today" is; only an engine that reckons with days itself needs it. What is None
    or "" is left to the engine's own options. ``response_format`` is OpenAI's (``json_object``,
    ``json_schema``); only engines whose spec says ``keeps_format`` look at it.
    """

    model: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    response_format: Mapping[str, Any] | None = None
    tool_choice: str = ""
    conversation: str = ""
    time_zone: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """The model wants a tool run. ``arguments`` is already parsed JSON. ``is_confirmed``: the
    engine itself, and no language model, has asked the caller whether it should."""

    id: str
    name: str
    arguments: dict[str, Any]
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply: some text, or tool requests (whole, never in fragments), or usage.

    ``finish`` comes with the last piece where the engine says it: stop, length, tool_calls.
    """

    text: str = ""
    tools: tuple[ToolRequest, ...] = ()
    usage: Usage | None = None
    finish: str = ""


class Chatter(Protocol):
    """An LLM engine, open and shared by all calls."""

    async def warm_up(self) -> None: ...

    async def check(self) -> Status: ...

    def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncIterator[Delta]: ...

    def grammar(self) -> str:
        """JSGF of what callers can say to it, for recognisers; "" for a real language model."""
        ...

    async def close(self) -> None: ...


# ── speaking ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """``speed``, ``pitch`` and ``volume`` are factors: 1.0 is the voice's own."""

    voice: str = ""
    speed: float = 1.0
    language: str = ""
    instructions: str = ""
    pitch: float = 1.0
    volume: float = 1.0
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Voice:
    """``tenant`` is whose it is; "" is everybody's."""

    id: str
    name: str
    language: str
    tenant: str = ""


def voices_for(tenant: str, voices: Iterable[Voice]) -> list[Voice]:
    """The tenant's own voices, which come before others of the same name, and everybody's."""
    seen = [voice for voice in voices if voice.tenant in ("", tenant)]
    own = {voice.id.lower() for voice in seen if voice.tenant}
    return [voice for voice in seen if voice.tenant or voice.id.lower() not in own]


class Synthesizer(Protocol):
    """A TTS engine, open and shared by all calls."""

    async def warm_up(self) -> None: ...

    async def check(self) -> Status: ...

    def synthesize(self, text: str, options: SpeechOptions) -> AsyncIterator[Audio]: ...

    def voices(self) -> Sequence[Voice]: ...

    async def close(self) -> None: ...


@runtime_checkable
class TagPerformer(Protocol):
    """What a synthesizer can also be: one that acts out tags in a text, such as ``<laugh>``.

    ``tags`` are their names. Text cleaning keeps these, and ``<break>``, and takes others out.
    """

    @property
    def tags(self) -> frozenset[str]: ...


def performed_tags(engine: object) -> frozenset[str]:
    """The tags that a synthesizer wants to see; none for most."""
    return engine.tags | {"break"} if isinstance(engine, TagPerformer) else frozenset()


# ── naming ───────────────────────────────────────────────────────────────────────────────────

EngineT_co = TypeVar("EngineT_co", covariant=True)


@dataclass(frozen=True)
class EngineSpec(Generic[EngineT_co]):
    """How the catalog knows an engine.

    ``open`` makes the engine from its options; it may load nothing heavy before ``warm_up()``.
    ``environment`` maps option names to the environment names that set them (``settings`` reads
    those). ``available()`` says whether ``auto`` may take it: explicitly configured, or its model
    on disk. ``STT_MODEL`` and friends mean different things in different documents:
    ``owns_model(value)`` says whether a shared model name is this engine's,
    ``owns_voice(value)`` the same of ``TTS_VOICE``. ``owns_any_with`` names an environment name
    that, while it is set, makes every shared name this engine's: its server has names of its own.
    ``abilities`` are those of its recogniser.
    """

    kind: Kind
    name: str
    options: type[EngineOptions]
    open: Callable[[Any], EngineT_co]
    summary: str
    available: Callable[[Any], bool]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    owns_model: Callable[[str], bool] = lambda value: False
    owns_voice: Callable[[str], bool] = lambda value: False
    owns_any_with: str = ""
    is_offline: bool = False
    is_language_model: bool = True
    abilities: frozenset[Ability] = frozenset()
    keeps_format: bool = False
    recommended: str = ""
