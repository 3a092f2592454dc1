"""``parley tools``: list them, try one, and see what they did."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from parley.agents.catalog import AgentCatalog
from parley.agents.schema import Agent
from parley.cli.verb import OK, PROBLEMS, Argument, Verb, settings_of
from parley.core.errors import BadRequest, ParleyError
from parley.core.log import setup_logging
from parley.core.registry import did_you_mean
from parley.engines.catalog import EngineCatalog
from parley.settings import Settings
from parley.store.opening import open_store
from parley.store.records import DEFAULT_TENANT, RunQuery, ToolRunRecord
from parley.store.run_journal import RunJournal
from parley.tool_book import StoredSecrets, StoredToolBook
from parley.tools.book import RunBegan, RunOver, ToolBook
from parley.tools.catalog import ToolCatalog
from parley.tools.house import ToolHouse
from parley.tools.spec import Tool

if TYPE_CHECKING:
    from parley.session.desk import Desk

LONGEST_ON_LINE = 60
N8N_LIMIT_S = 5.0
# A server's attempt to connect may take ten seconds, and nobody but who typed this waits for it.
MCP_LIMIT_S = 12.0


@dataclass(frozen=True)
class _Workshop:
    """Agents and their tools, ready to be used, and the book of their runs."""

    agents: AgentCatalog
    desk: Desk
    house: ToolHouse
    book: StoredToolBook

    def agent(self, name: str) -> Agent:
        return self.agents.get(name)

    async def tools(self, agent: Agent, tenant: str) -> Sequence[Tool]:
        """Those of other servers, too, if these tell of them soon."""
        self.desk.tools_for(agent, tenant)
        await self.house.settled(MCP_LIMIT_S)
        return self.desk.tools_for(agent, tenant)


@asynccontextmanager
async def _workshop(settings: Settings) -> AsyncGenerator[_Workshop]:
    from parley.session.desk import Desk

    setup_logging("WARNING")
    agents = AgentCatalog.from_settings(settings)
    agents.load()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        journal = RunJournal(store.tool_runs, settings.data_dir / "tool-runs")
        book = StoredToolBook(store, await stack.enter_async_context(journal))
        house = ToolHouse.from_settings(settings)
        stack.push_async_callback(house.close)
        house.connect(book, StoredSecrets(store.tenants))
        await house.open()
        await _asked(house)
        catalog = EngineCatalog.from_settings(settings)
        stack.push_async_callback(catalog.close)
        yield _Workshop(agents, Desk(agents, catalog, ToolCatalog(house=house)), house, book)


async def _asked(house: ToolHouse) -> None:
    """Wait, but not for long, until n8n has said what it has."""
    if house.n8n is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(N8N_LIMIT_S):
                await house.n8n.asked()


def _list(given: argparse.Namespace) -> int:
    return asyncio.run(_list_tools(settings_of(given), given))


async def _list_tools(settings: Settings, given: argparse.Namespace) -> int:
    wanted = getattr(given, "setting_agent", "")
    problems = 0
    async with _workshop(settings) as shop:
        for agent in [shop.agent(wanted)] if wanted else shop.agents.all():
            print(agent.label if not agent.tenant else f"{agent.label} (tenant {agent.tenant})")
            try:
                tools = await shop.tools(agent, agent.tenant or given.tenant)
            except ParleyError as error:
                problems += 1
                print(f"  {error}")
                continue
            for tool in tools:
                print(f"  {_signature(tool)}  [{_traits(tool)}]")
                print(f"      {tool.description}")
            if not tools:
                print("  no tools")
    return PROBLEMS if problems else OK


def _signature(tool: Tool) -> str:
    """``book(name, day, time?)``: what is optional has a question mark."""
    needed = tool.parameters.get("required", ())
    names = [n if n in needed else f"{n}?" for n in tool.parameters.get("properties", {})]
    return f"{tool.name}({', '.join(names)})"


def _traits(tool: Tool) -> str:
    traits = [tool.provider, f"{tool.timeout_s:g} s"]
    traits += ["changes"] if tool.changes else []
    traits += ["confirms"] if tool.confirms else []
    return ", ".join(traits)


def _call(given: argparse.Namespace) -> int:
    return asyncio.run(_call_tool(settings_of(given), given))


async def _call_tool(settings: Settings, given: argparse.Namespace) -> int:
    async with _workshop(settings) as shop:
        agent = shop.agent(getattr(given, "setting_agent", ""))
        tenant = agent.tenant or given.tenant
        tools = {tool.name: tool for tool in await shop.tools(agent, tenant)}
        tool = tools.get(given.tool)
        if tool is None:
            raise BadRequest(
                f"{agent.label} has no tool {given.tool!r}.", hint=did_you_mean(given.tool, tools)
            )
        arguments = read_arguments(given.arguments, tool.parameters)
        over = await _run(tool, arguments, shop, agent, tenant)
    told = {
        "run_id": over.id,
        "tool": tool.name,
        "state": over.state,
        "after_ms": over.after_ms,
        "answer": over.answer,
        "error_code": over.error_code or None,
        "error": over.error or None,
    }
    if given.json:
        print(json.dumps(told, ensure_ascii=False, default=str))
    else:
        what = over.error or json.dumps(over.answer, ensure_ascii=False, indent=2, default=str)
        print(what)
        print(f"{over.state} after {over.after_ms:.0f} ms ({over.id})")
    return OK if over.state == "answered" else PROBLEMS


async def _run(
    tool: Tool, arguments: Mapping[str, Any], shop: _Workshop, agent: Agent, tenant: str
) -> RunOver:
    """Run it as a written turn of the agent's would."""
    # Pipecat comes with it: a second that no other verb should wait for.
    from parley.engines.spec import ToolRequest
    from parley.session.toolbelt import Toolbelt, Whose
    from parley.session.written_actions import WrittenActions

    ear = _Ear(shop.book)
    actions = WrittenActions(f"cli_{secrets.token_hex(12)}")
    belt = Toolbelt([tool], actions, lambda _: None, Whose(tenant, agent.name), book=ear)
    await belt.run(tool, ToolRequest("1", tool.name, dict(arguments), is_confirmed=True))
    for text in actions.said:
        print(f"It says: {text}")
    assert ear.over is not None
    return ear.over


class _Ear:
    """Writes in the book, and remembers what came of the run."""

    def __init__(self, book: ToolBook) -> None:
        self._book = book
        self.over: RunOver | None = None

    def began(self, run: RunBegan) -> None:
        self._book.began(run)

    def ended(self, run: RunOver) -> None:
        self._book.ended(run)
        self.over = run


def read_arguments(words: Sequence[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """``key=value`` words by the tool's schema: text stays text, anything else is JSON."""
    shapes = cast("Mapping[str, Mapping[str, Any]]", schema.get("properties", {}))
    found: dict[str, Any] = {}
    for word in words:
        name, is_given, value = word.partition("=")
        if not is_given:
            raise BadRequest(f"{word!r} is no argument.", hint="Write key=value.")
        if shapes and name not in shapes:
            raise BadRequest(f"There is no argument {name!r}.", hint=did_you_mean(name, shapes))
        found[name] = _value(name, value, shapes.get(name, {}).get("type"))
    return found


def _value(name: str, text: str, kind: object) -> Any:
    if kind == "string":
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        if kind is None or isinstance(kind, list):
            return text
        raise BadRequest(
            f"{name} must be of type {kind}.", hint=f"Write {name}=JSON, in quotes for the shell."
        ) from error


def _runs(given: argparse.Namespace) -> int:
    return asyncio.run(_list_runs(settings_of(given), given))


async def _list_runs(settings: Settings, given: argparse.Namespace) -> int:
    setup_logging("WARNING")
    wanted = RunQuery(given.call, given.tool, given.state)
    async with open_store(settings) as store:
        runs = await store.tool_runs.of(given.tenant, wanted, limit=given.limit)
    for run in runs:
        print(json.dumps(_described(run), default=str) if given.json else _line(run))
    if not runs and not given.json:
        print("No tool has run." if wanted == RunQuery() else "No tool has run like that.")
    return OK


def _line(run: ToolRunRecord) -> str:
    took = "" if run.after_ms is None else f"{run.after_ms} ms"
    given = ", ".join(f"{name}={value}" for name, value in run.arguments.items())
    came = run.error or run.answer
    return (
        f"{run.started_at:%Y-%m-%d %H:%M:%S}  {run.state:<9}  {took:>9}  {run.tool}"
        f"({_cut(given)})  {_cut(came)}  {run.call_id}"
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_ON_LINE else f"{text[: LONGEST_ON_LINE - 1]}…"


def _described(run: ToolRunRecord) -> dict[str, Any]:
    names = (
        *("id", "call_id", "agent", "tool", "provider", "arguments", "state", "answer"),
        *("error_code", "error", "started_at", "ended_at", "after_ms", "idempotency_key"),
    )
    return {name: getattr(run, name) for name in names}


_TENANT = Argument(
    "--tenant", "whose tools, where several share an agent", {"default": DEFAULT_TENANT}
)
_JSON = Argument("--json", "print JSON", {"action": "store_true"})

LIST_TOOLS = Verb(
    ("tools", "list"),
    "List the tools of every agent, or of one: --agent NAME.",
    _list,
    takes=(_TENANT,),
)
CALL_TOOL = Verb(
    ("tools", "call"),
    "Use a tool as an agent would, and really: --agent NAME says whose.",
    _call,
    takes=(
        Argument("tool", "its name", {"metavar": "TOOL"}),
        Argument("arguments", "its arguments", {"nargs": "*", "metavar": "KEY=VALUE"}),
        _TENANT,
        _JSON,
    ),
)
TOOL_RUNS = Verb(
    ("tools", "runs"),
    "Show what tools did, newest first.",
    _runs,
    takes=(
        Argument("--tool", "only that tool's", {"default": "", "metavar": "NAME"}),
        Argument("--call", "only that call's", {"default": "", "metavar": "ID"}),
        Argument(
            "--state",
            "only those in that state",
            {"default": "", "choices": ("open", "answered", "failed", "late", "cancelled")},
        ),
        Argument("--limit", "how many at most", {"type": int, "default": 20, "metavar": "N"}),
        Argument("--tenant", "whose", {"default": DEFAULT_TENANT}),
        _JSON,
    ),
)
