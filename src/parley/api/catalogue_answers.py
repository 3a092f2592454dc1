"""What ``/v1/agents`` and ``/v1/tools`` answer, as models for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class AgentSummary(BaseModel):
    """Who answers, and with what."""

    id: str
    object: Literal["agent"]
    model: str
    title: str
    description: str
    is_default: bool
    language: str
    voice: str
    engines: dict[Literal["stt", "llm", "tts"], list[str]]


class ListedAgent(AgentSummary):
    """An agent, and the names of what it may use."""

    tools: list[str]


class AgentPage(BaseModel):
    """Every agent, the default one first."""

    object: Literal["list"]
    data: list[ListedAgent]


class ToolDetails(BaseModel):
    """A tool as a model sees it."""

    name: str
    object: Literal["tool"]
    description: str
    parameters: dict[str, Any]
    timeout_s: float
    is_interruptible: bool
    provider: str
    changes: bool
    confirms: bool


class AgentDetails(AgentSummary):
    """One agent, with its instructions and the tools that it offers its model."""

    tools: list[ToolDetails]
    instructions: str
    greeting: dict[str, Any]
    turn_taking: dict[str, Any]


class AgentProblem(BaseModel):
    """One thing that is wrong with a file."""

    line: int | None
    message: str


class AgentCheck(BaseModel):
    """What is wrong with an agent's file."""

    object: Literal["agent.check"]
    is_right: bool
    problems: list[AgentProblem]


class ToolProviderEntry(BaseModel):
    """Where tools come from; ``options`` is the schema of what an agent's file may say of it."""

    id: str
    object: Literal["tool_provider"]
    description: str
    options: dict[str, Any]
    tools: list[ToolDetails]


class ToolPage(BaseModel):
    """Every provider of tools."""

    object: Literal["list"]
    data: list[ToolProviderEntry]
