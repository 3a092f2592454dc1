"""What the OpenAI-compatible routes answer, as models for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class VoiceEntry(BaseModel):
    """A voice that can be asked for. ``alias_of`` is the local voice behind OpenAI's name."""

    id: str
    object: Literal["audio.voice"]
    name: str
    language: str
    model: str
    alias_of: str | None = None


class VoiceList(BaseModel):
    """The voices of a model."""

    object: Literal["list"]
    voices: list[VoiceEntry]


class DurationUsage(BaseModel):
    """How much sound was heard."""

    type: Literal["duration"]
    seconds: int


class Transcription(BaseModel):
    """What was said."""

    text: str
    usage: DurationUsage


class TranscriptSegment(BaseModel):
    """One stretch of speech, with its times in seconds."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class TranscriptWord(BaseModel):
    """One word, with its times in seconds."""

    word: str
    start: float
    end: float


class VerboseTranscription(BaseModel):
    """What was said, and when."""

    task: Literal["transcribe", "translate"]
    language: str
    duration: float
    text: str
    usage: DurationUsage
    segments: list[TranscriptSegment] = []
    words: list[TranscriptWord] = []


class SpeechSpan(BaseModel):
    """When somebody speaks, in milliseconds."""

    start: float
    end: float


class CalledFunctionAnswer(BaseModel):
    """The function that the model wants called; ``arguments`` is JSON."""

    name: str
    arguments: str


class ToolCallAnswer(BaseModel):
    """A tool that the client is to call."""

    id: str
    type: Literal["function"]
    function: CalledFunctionAnswer


class SpokenAnswer(BaseModel):
    """The reply as speech: base64 of a file."""

    id: str
    data: str
    transcript: str
    expires_at: int


class AnswerMessage(BaseModel):
    """The reply."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: list[ToolCallAnswer] | None = None
    audio: SpokenAnswer | None = None


class Choice(BaseModel):
    """The one reply that there is."""

    index: int
    message: AnswerMessage
    logprobs: None
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"]


class ChatUsage(BaseModel):
    """Tokens, estimated where the engine doesn't count."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int]
    completion_tokens_details: dict[str, int]


class ChatCompletion(BaseModel):
    """A whole reply."""

    id: str = Field(examples=["chatcmpl-5f2a"])
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    system_fingerprint: str | None
    usage: ChatUsage


class ResponseUsage(BaseModel):
    """Tokens, estimated where the engine doesn't count."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class ResponseAnswer(BaseModel):
    """A response, which later requests can carry on from."""

    id: str = Field(examples=["resp_5f2a"])
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["completed", "incomplete", "failed", "in_progress"]
    background: bool
    error: dict[str, str] | None
    incomplete_details: dict[str, str] | None
    instructions: str | None
    max_output_tokens: int | None
    model: str
    output: list[dict[str, Any]]
    parallel_tool_calls: bool
    previous_response_id: str | None
    reasoning: dict[str, Any]
    store: bool
    temperature: float | None
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_p: float | None
    truncation: str
    usage: ResponseUsage | None
    user: str | None
    metadata: dict[str, str]


class Removed(BaseModel):
    """What is gone now."""

    id: str
    object: str
    deleted: Literal[True]


class ModelEntry(BaseModel):
    """What a request can name as its model."""

    id: str = Field(examples=["agent:receptionist"])
    object: Literal["model"]
    created: int
    owned_by: str
    task: str
    tasks: list[str]
    description: str


class ModelPage(BaseModel):
    """All models, agents first."""

    object: Literal["list"]
    data: list[ModelEntry]


class EngineEntry(BaseModel):
    """An engine in use, and why it was chosen."""

    kind: Literal["stt", "llm", "tts"]
    engine: str
    model: str
    where: str
    why: str


class EnginesInUse(BaseModel):
    """The engines in use; ``models`` are their names alone."""

    models: list[str]
    engines: list[EngineEntry]


class EngineLoaded(BaseModel):
    """The engine is loaded."""

    id: str
    loaded: Literal[True]
