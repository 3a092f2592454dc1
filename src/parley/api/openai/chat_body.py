"""The body of a chat completion, as OpenAI's clients send it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parley.core.spelling import Spelling

MOST_STOPS = 4
MOST_TOOLS = 128
MOST_MESSAGES = 2000
Name = Annotated[str, Spelling(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 letters, digits, _, . and -")]


class Body(BaseModel):
    """Base of everything in a request: what we don't know is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Sound(Body):
    """Speech in a message: base64 of a file."""

    data: str
    format: str = "wav"


class Part(Body):
    """A piece of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: dict[str, Any] | None = None
    input_audio: Sound | None = None


class CalledFunction(Body):
    name: str
    arguments: str = "{}"


class CalledTool(Body):
    """A tool that the model asked for in an earlier reply."""

    id: str = ""
    function: CalledFunction


class AudioReference(Body):
    """An earlier spoken reply, by its id."""

    id: str


class ChatMessage(Body):
    """One message. Contents are text, or parts of text, pictures and sound."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[CalledTool] | None = None
    tool_call_id: str | None = None
    audio: AudioReference | None = None


class Function(Body):
    """What a client's tool is called, what it does and what it takes."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolEntry(Body):
    type: str = "function"
    function: Function | None = None


class StreamOptions(Body):
    include_usage: bool | None = None


class SpokenReply(Body):
    """How a spoken reply is to sound: a voice's name, and the audio format."""

    voice: str | dict[str, Any] = ""
    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"] = "wav"


class ChatBody(Body):
    """``POST /v1/chat/completions``. Fields of OpenAI's that aren't here are ignored."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=MOST_MESSAGES)
    model: str = ""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    stop: str | Annotated[list[str], Field(max_length=MOST_STOPS)] | None = None
    seed: int | None = None
    tools: list[ToolEntry] | None = Field(None, max_length=MOST_TOOLS)
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    audio: SpokenReply | None = None
    functions: list[Any] | None = None

    @property
    def wants_audio(self) -> bool:
        return "audio" in (self.modalities or ())

    @property
    def has_audio(self) -> bool:
        """Whether a message is a recording, or refers to a spoken reply."""
        parts = [p for m in self.messages if isinstance(m.content, list) for p in m.content]
        return any(p.input_audio for p in parts) or any(m.audio for m in self.messages)

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with the usage; a plain reply always has it."""
        return bool(self.stream_options and self.stream_options.include_usage)
