"""The session object as clients write it: what may stand in it, and what is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

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
    if isinstance(value, dict):
        return {"type": "server_vad", **cast(dict[str, Any], value)}
    return value


TurnDetection = Annotated[
    Annotated[ServerVad | SemanticVad, Field(discriminator="type")], BeforeValidator(_with_type)
]


class FunctionTool(Form):
    type: Literal["function"]
    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")
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
    noise_reduction: dict[str, Any] | None = None
    turn_detection: TurnDetection | None = None


class Output(Form):
    format: AudioFormat = AudioFormat()
    voice: Voice = ""
    speed: float = Field(default=1.0, ge=0.25, le=1.5)


class Sound(Form):
    input: Input = Input()
    output: Output = Output()


def _tokens(value: object) -> object:
    return MOST_TOKENS if value in (None, "inf") else value


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
    audio: Sound = Sound()

    @property
    def is_spoken(self) -> bool:
        return "audio" in self.output_modalities


def read_form(fields: Mapping[str, Any]) -> SessionForm:
    """Check a whole session. Raises ``Fault`` with the place of the first mistake."""
    for tool in cast(list[Any], fields.get("tools") or []):
        if isinstance(tool, dict) and cast(dict[str, Any], tool).get("type") == "mcp":
            raise Fault(
                "MCP servers are not taken from clients here: an agent's YAML names them.",
                code="unsupported_value",
                param="session.tools",
            )
    try:
        form = SessionForm.model_validate(fields)
    except ValidationError as error:
        raise fault_of(error, "session") from error
    if len(form.output_modalities) != 1:
        raise Fault(
            'output_modalities is ["audio"] (which brings its transcript along) or ["text"].',
            param="session.output_modalities",
        )
    return form


def fault_of(error: ValidationError, within: str) -> Fault:
    """The first mistake in the client's words: where it is, and what belongs there."""
    first = error.errors(include_url=False)[0]
    place = ".".join([within, *(str(part) for part in first["loc"])])
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    return Fault(f"{place}: {first['msg']}.", code=code, param=place)
