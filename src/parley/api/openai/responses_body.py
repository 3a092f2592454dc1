"""The body of ``POST /v1/responses``, as OpenAI's clients send it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from parley.api.openai.chat_body import MOST_MESSAGES, MOST_TOOLS, Body, Name

MOST_METADATA = 16


class ItemPart(Body):
    """A piece of an item's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None


class Item(Body):
    """A message, a call of a tool, or what came of one."""

    type: str = "message"
    role: str | None = None
    content: str | list[ItemPart] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[ItemPart] | None = None


class FlatTool(Body):
    """A tool whose function isn't wrapped once more, as it is in chat completions."""

    type: str
    name: Name | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class TextConfig(Body):
    format: dict[str, Any] | None = None


class ResponseBody(Body):
    """``POST /v1/responses``. Fields of OpenAI's that aren't here are ignored."""

    input: str | Annotated[list[Item], Field(max_length=MOST_MESSAGES)] = Field(
        default_factory=list[Item]
    )
    model: str = ""
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    tools: list[FlatTool] | None = Field(None, max_length=MOST_TOOLS)
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    background: bool | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = Field(None, max_length=MOST_METADATA)
    user: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether a later request may carry on from this one."""
        return self.store is not False
