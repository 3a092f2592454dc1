"""Which agents can be called, and with which voices."""

from __future__ import annotations

from typing import Any, Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel

from parley.api.openai.bodies import tenant_of
from parley.core.answers import answers


class AgentVoice(BaseModel):
    """A voice that the agent can speak with."""

    id: str
    name: str
    language: str


class CallableAgent(BaseModel):
    """Who can be called. With ``problem`` the agent can't answer yet."""

    name: str
    title: str
    description: str
    is_default: bool
    voice: str
    voices: list[AgentVoice]
    engines: dict[str, str]
    is_language_model: bool | None = None
    problem: str | None = None


class CallableAgents(BaseModel):
    """Who can be called."""

    agents: list[CallableAgent]


class AgentDirectory(Protocol):
    """Who answers whom here, in the words of the page."""

    async def describe_agents(self, tenant: str) -> list[dict[str, Any]]:
        """For each agent of the tenant and of the house: name, title, description, is_default,
        voice, voices (id, name, language), engines (stt, llm, tts by name), is_language_model."""
        ...


def agents_router(directory: AgentDirectory) -> APIRouter:
    """``GET /api/agents``."""
    return _Agents(directory).router()


class _Agents:
    def __init__(self, directory: AgentDirectory) -> None:
        self._directory = directory

    def router(self) -> APIRouter:
        router = APIRouter(tags=["agents"])
        router.add_api_route(
            "/api/agents",
            self.list,
            methods=["GET"],
            summary="List agents with their voices",
            responses=answers(ok=CallableAgents),
        )
        return router

    async def list(self, request: Request) -> dict[str, list[dict[str, Any]]]:
        return {"agents": await self._directory.describe_agents(tenant_of(request))}
