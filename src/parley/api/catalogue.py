"""``/v1/agents`` and ``/v1/tools``: who answers, what agents may use, and is a file right?"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import yaml
from fastapi import APIRouter, Depends, Request
from fastapi import Path as InPath
from pydantic import BaseModel, Field

from parley.agents.check import Installed, check_reading
from parley.agents.reading import AgentDefaults, Problem, read_agent
from parley.agents.schema import Agent
from parley.api.catalogue_answers import AgentCheck, AgentDetails, AgentPage, ToolPage
from parley.api.openai.bodies import pieces_of, read_json, tenant_of
from parley.api.openai.engines import Guard
from parley.core.answers import BODY_FAULTS, answers, body_of, text
from parley.core.errors import InvalidValue, ParleyError
from parley.core.log import get_logger
from parley.core.spelling import Spelling
from parley.tools.provider import ToolMaker, ToolProvider
from parley.tools.rules import with_rules
from parley.tools.spec import Tool

log = get_logger(__name__)

MOST_YAML_BYTES = 256 * 1024
MOST_ALIASES = 16
MOST_LEVELS = 40
_JSON = "application/json"
_EXAMPLE = {"name": "front", "yaml": "title: Front desk\ntools: [clock]\n"}
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
AgentName = Annotated[str, InPath(examples=["receptionist"])]


class Agents(Protocol):
    """The agents of the house and of its tenants."""

    @property
    def default_name(self) -> str: ...

    def of(self, tenant: str) -> Sequence[Agent]: ...

    def get(self, name: str = "", tenant: str = "") -> Agent:
        """Raises ``NotFound``."""
        ...

    def file_of(self, agent: Agent) -> Path | None: ...


class Tools(ToolMaker, Protocol):
    """The tools that are installed."""

    def providers(self) -> Sequence[ToolProvider]: ...


class AgentFile(BaseModel):
    """An agent's file to be checked: its text, and the name that it is to have."""

    yaml: str = Field(max_length=MOST_YAML_BYTES)
    name: Annotated[
        str, Spelling(_NAME, "up to 64 letters, digits, _ and -, a letter or digit first")
    ] = "agent"


def catalogue_router(
    agents: Agents,
    tools: Tools,
    defaults: AgentDefaults,
    installed: Installed,
    *,
    see_agents: Guard,
    see_tools: Guard,
    stall_s: float,
) -> APIRouter:
    """``GET /v1/agents[/{name}]``, ``POST /v1/agents/check`` and ``GET /v1/tools``."""
    catalogue = _Catalogue(agents, tools, defaults, installed, stall_s)
    router = APIRouter()
    for_agents, for_tools = [Depends(see_agents)], [Depends(see_tools)]
    add = router.add_api_route
    for path, does, summary, told in (
        ("/v1/agents", catalogue.list, "List agents", answers(ok=AgentPage)),
        ("/v1/agents/{name}", catalogue.get, "Show an agent", answers(404, ok=AgentDetails)),
    ):
        add(path, does, summary=summary, responses=told, dependencies=for_agents, tags=["agents"])
    add(
        "/v1/agents/check",
        catalogue.check,
        methods=["POST"],
        dependencies=for_agents,
        tags=["agents"],
        summary="Check an agent's file",
        responses=answers(*BODY_FAULTS, ok=AgentCheck),
        openapi_extra=body_of(
            {_JSON: AgentFile.model_json_schema(), **text("text/plain", "application/yaml")},
            example=_EXAMPLE,
        ),
    )
    add(
        "/v1/tools",
        catalogue.tools,
        dependencies=for_tools,
        tags=["tools"],
        summary="List tools",
        responses=answers(ok=ToolPage),
    )
    return router


class _Catalogue:
    def __init__(
        self,
        agents: Agents,
        tools: Tools,
        defaults: AgentDefaults,
        installed: Installed,
        stall_s: float,
    ) -> None:
        self._agents = agents
        self._tools = tools
        self._defaults = defaults
        self._installed = installed
        self._stall_s = stall_s

    async def list(self, request: Request) -> dict[str, Any]:
        """The key's tenant's agents and the house's, the default one first."""
        agents = self._agents.of(tenant_of(request))
        return {"object": "list", "data": [self._described(each) for each in agents]}

    async def get(self, request: Request, name: AgentName) -> dict[str, Any]:
        """One agent, with its instructions and the tools that it offers its model."""
        tenant = tenant_of(request)
        agent = self._agents.get(name, tenant)
        tools = self._tools_of(agent, tenant)
        return {
            **self._described(agent),
            "instructions": agent.instructions,
            "greeting": agent.greeting.model_dump(),
            "turn_taking": agent.turn_taking.model_dump(),
            "tools": [_tool(tool) for tool in tools],
        }

    def _tools_of(self, agent: Agent, tenant: str) -> Sequence[Tool]:
        """As its calls have them."""
        file = self._agents.file_of(agent)
        tools = self._tools.tools_for(
            agent.tools,
            time_zone=agent.time_zone,
            tenant=tenant,
            folder=file.parent if file else None,
            owner=agent.tenant,
            language=agent.language,
        )
        return with_rules(tools, agent.tool_rules)

    async def check(self, request: Request) -> dict[str, Any]:
        """What is wrong with an agent's file, by line; the file is sent as text or in JSON."""
        file = await self._file(request)
        problems = await asyncio.to_thread(self._problems, file)
        return {
            "object": "agent.check",
            "is_right": not problems,
            "problems": [{"line": each.line, "message": each.message} for each in problems],
        }

    async def tools(self) -> dict[str, Any]:
        """Every provider of tools: its options, and its tools as models see them."""
        return {"object": "list", "data": [self._provider(p) for p in self._tools.providers()]}

    async def _file(self, request: Request) -> AgentFile:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == _JSON:
            return await read_json(
                request, AgentFile, most_bytes=2 * MOST_YAML_BYTES, stall_s=self._stall_s
            )
        text = bytearray()
        pieces = pieces_of(request, most_bytes=MOST_YAML_BYTES, stall_s=self._stall_s)
        async for piece in pieces:
            text += piece
        try:
            return AgentFile(yaml=bytes(text).decode("utf-8"), name="agent")
        except UnicodeDecodeError as error:
            raise InvalidValue("The file is no UTF-8 text.") from error

    def _problems(self, file: AgentFile) -> Sequence[Problem]:
        _refuse_bomb(file.yaml)
        with tempfile.TemporaryDirectory(prefix="parley-check-") as folder:
            path = Path(folder) / f"{file.name}.yaml"
            path.write_text(file.yaml, encoding="utf-8")
            return check_reading(read_agent(path, self._defaults), self._installed)

    def _described(self, agent: Agent) -> dict[str, Any]:
        return {
            "id": agent.name,
            "object": "agent",
            "model": f"agent:{agent.name}",
            "title": agent.label,
            "description": agent.description,
            "is_default": agent.name == self._agents.default_name,
            "language": agent.language,
            "voice": agent.voice,
            "engines": {
                # Their options may hold keys.
                kind: [wish.name for wish in wishes]
                for kind, wishes in agent.engines.wishes().items()
            },
            "tools": [use.name for use in agent.tools],
        }

    def _provider(self, provider: ToolProvider) -> dict[str, Any]:
        try:
            tools = self._tools.tools_for([provider.name])
        except ParleyError as error:
            # Some can't be made without options.
            log.debug("tools_without_options", provider=provider.name, error=str(error))
            tools = ()
        return {
            "id": provider.name,
            "object": "tool_provider",
            "description": provider.summary,
            "options": provider.options.model_json_schema(),
            "tools": [_tool(tool) for tool in tools],
        }


def _refuse_bomb(text: str) -> None:
    """A few lines of aliases of aliases, or brackets in brackets, can fill a machine's memory."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    aliases = level = 0
    try:
        for event in yaml.parse(text, loader):
            aliases += isinstance(event, yaml.AliasEvent)
            level += isinstance(event, yaml.CollectionStartEvent)
            level -= isinstance(event, yaml.CollectionEndEvent)
            if aliases > MOST_ALIASES or level > MOST_LEVELS:
                raise InvalidValue(
                    f"An agent's file has no more than {MOST_ALIASES} aliases and {MOST_LEVELS} "
                    "levels."
                )
    except yaml.YAMLError:
        # Reading it will say so, with the line.
        return


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "object": "tool",
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "timeout_s": tool.timeout_s,
        "is_interruptible": tool.interruptible,
        "provider": tool.provider,
        "changes": tool.changes,
        "confirms": tool.confirms,
    }
