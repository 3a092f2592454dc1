"""The session object as clients write it: what may stand in it, and what is checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from parley.core.spelling import Spelling
from parley.engines.spec import ToolSchema
from parley.transports.realtime.wire import Fault

SessionType = Literal["realtime", "transcription"]
Modality = Literal["text", "audio"]
FormatName = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
PCM_RATE_HZ = 24_000
MOST_TOKENS = 4096


class Form(BaseModel):
    """Base: keys that nobody here knows are ignored, as clients are newer than servers."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class AudioFormat(Form):
    """``rate`` belongs to PCM alone: 24000 Hz, and nothing else. G.711 is always 8000 Hz."""

    type: FormatName = "audio/pcm"
    rate: Literal[24000] | None = None

    def shown(self) -> dict[str, Any]:
        if self.type == "audio/pcm":
            return {"type": self.type, "rate": PCM_RATE_HZ}
        return {"type": self.type}


class Transcription(Form):
    """Whether and how the client wants to read what was heard. Shown as the client gave it."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    languages: tuple[str, ...] | None = None
    keywords: tuple[str, ...] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(Form):
    type: Literal["near_field", "far_field"]


class ServerVad(Form):
    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(default=0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(default=300, ge=0, le=5000)
    silence_duration_ms: int = Field(default=500, ge=20, le=10_000)
    idle_timeout_ms: int | None = Field(default=None, ge=1000, le=600_000)
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Form):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


def _with_type(value: object) -> object:
    if not isinstance(value, dict):
        return value
    given = {k: v for k, v in cast(dict[str, Any], value).items() if v is not None}
    return {"type": "server_vad", **given}


TurnDetection = Annotated[
    Annotated[ServerVad | SemanticVad, Field(discriminator="type")], BeforeValidator(_with_type)
]


class FunctionTool(Form):
    type: Literal["function"]
    name: Annotated[
        str,
        Field(min_length=1, max_length=64),
        Spelling(r"[A-Za-z0-9_-]+", "letters, digits, _ and -"),
    ]
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])

    def schema_of(self) -> ToolSchema:
        empty: dict[str, Any] = {"type": "object", "properties": {}}
        parameters = {**empty, **self.parameters}
        return ToolSchema(self.name, self.description, parameters)


class NamedTool(Form):
    type: Literal["function"]
    name: str


ToolChoice = Literal["auto", "none", "required"] | NamedTool


def _voice_name(value: object) -> object:
    return cast(dict[str, Any], value).get("id") if isinstance(value, dict) else value


Voice = Annotated[str, BeforeValidator(_voice_name), Field(max_length=200)]


class Input(Form):
    format: AudioFormat = AudioFormat()
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = None


class Output(Form):
    format: AudioFormat = AudioFormat()
    voice: Voice = ""
    speed: float = Field(default=1.0, ge=0.25, le=1.5)


class Sound(Form):
    input: Input = Input()
    output: Output = Output()


class RetainedTokens(Form):
    post_instructions: int | None = Field(default=None, ge=0)


class RetentionRatio(Form):
    type: Literal["retention_ratio"]
    retention_ratio: float = Field(ge=0, le=1)
    token_limits: RetainedTokens | None = None


class Tracing(Form):
    group_id: str | None = None
    metadata: dict[str, Any] | None = None
    workflow_name: str | None = None


def _tokens(value: object) -> object:
    return MOST_TOKENS if value is None or value == "inf" else value


class SessionForm(Form):
    """A whole session, after every update checked anew."""

    type: SessionType = "realtime"
    output_modalities: tuple[Modality, ...] = ("audio",)
    instructions: str = ""
    tools: tuple[FunctionTool, ...] = ()
    tool_choice: ToolChoice = "auto"
    max_output_tokens: Annotated[int, BeforeValidator(_tokens), Field(ge=1, le=MOST_TOKENS)] = (
        MOST_TOKENS
    )
    truncation: Literal["auto", "disabled"] | RetentionRatio = "auto"
    """Taken and shown; a conversation that has grown too long is summed up in any case."""
    tracing: Literal["auto"] | Tracing | None = None
    include: tuple[Literal["item.input_audio_transcription.logprobs"], ...] | None = None
    audio: Sound = Sound()

    @property
    def is_spoken(self) -> bool:
        return "audio" in self.output_modalities


def read_form(fields: Mapping[str, Any]) -> SessionForm:
    """Check a whole session. Raises ``Fault`` with the place of the first mistake."""
    tools = fields.get("tools")
    for tool in cast(list[Any], tools) if isinstance(tools, list) else ():
        if isinstance(tool, dict) and cast(dict[str, Any], tool).get("type") == "mcp":
            raise Fault(
                "MCP servers are not taken from clients here: an agent's YAML names them.",
                code="unsupported_value",
                param="session.tools",
            )
    if fields.get("prompt") is not None:
        raise no_prompt("session.prompt")
    try:
        form = SessionForm.model_validate(fields)
    except ValidationError as error:
        raise fault_of(error, "session", fields) from error
    if len(form.output_modalities) != 1:
        raise Fault(
            'output_modalities is ["audio"] (which brings its transcript along) or ["text"].',
            param="session.output_modalities",
        )
    return form


def no_prompt(param: str) -> Fault:
    return Fault(
        "Prompts that OpenAI keeps can't be had here: put the text into instructions.",
        code="unsupported_value",
        param=param,
    )


def fault_of(error: ValidationError, within: str, given: object) -> Fault:
    """The first mistake in the client's words: where it is in ``given``, and what belongs there."""
    first = error.errors(include_url=False)[0]
    is_missing = first["type"] == "missing"
    path = _path(first["loc"], given, is_missing=is_missing)
    # What a thing is of several is told apart by one of its keys.
    key = str(first.get("ctx", {}).get("discriminator", "")).strip("'")
    place = ".".join(filter(None, [within, *path, key]))
    code = "missing_required_parameter" if is_missing else "invalid_value"
    return Fault(f"{place}: {first['msg']}.", code=code, param=place)


def _path(loc: Sequence[int | str], given: object, *, is_missing: bool) -> list[str]:
    """Pydantic names the forms that it tried as well: only what stands in ``given`` counts."""
    path: list[str] = []
    for at, part in enumerate(loc):
        if isinstance(given, Mapping) and part in given:
            given = cast(Mapping[Any, Any], given)[part]
        elif isinstance(given, list | tuple) and isinstance(part, int):
            given = cast(Sequence[Any], given)[part]
        elif not (is_missing and at == len(loc) - 1):
            continue
        path.append(str(part))
    return path
