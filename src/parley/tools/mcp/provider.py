"""The tool ``mcp``: what an MCP server offers, as far as an agent's file lists it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

from parley.core.errors import BadRequest, ToolFailed
from parley.core.log import get_logger
from parley.tools.house import ToolHouse
from parley.tools.mcp.answers import LONGEST_ERROR, is_unknown, result_of
from parley.tools.mcp.connection import Connection
from parley.tools.mcp.facts import Declined, Listing, Lost, McpServer, TooLarge
from parley.tools.mcp.options import ALL, McpOptions
from parley.tools.mcp.schemas import plain_schema
from parley.tools.provider import ProviderContext
from parley.tools.rules import ToolRules
from parley.tools.spec import Tool, ToolCall
from parley.tools.webhook.credentials import hidden
from parley.tools.webhook.failures import Failure

log = get_logger(__name__)

KEY_ARGUMENT = "idempotency_key"
"""An argument of that name is filled in by us, and the model doesn't see it."""
LONGEST_DESCRIPTION = 2000

_AS_IT_IS = ToolRules()


class McpProvider:
    """Makes the tools of one server for each ``mcp`` in an agent's file. Without a house it only
    checks what the file says."""

    name = "mcp"
    summary = "Tools of an MCP server, by URL or as a program that Parley starts."
    options = McpOptions

    def __init__(self, house: ToolHouse | None = None) -> None:
        self._house = house
        self._told_missing: set[tuple[str, ...]] = set()

    def tools(self, options: McpOptions, context: ProviderContext) -> Sequence[Tool]:
        """Those that the server has told of so far. Raises ``BadRequest`` for what is not set up,
        and ``DestinationRefused``."""
        if options.command and context.owner:
            raise BadRequest(
                f"mcp {options.name}: a tenant's agent can't start a program on this machine.",
                hint="Give a url, or have the operator put the agent into everybody's folder.",
            )
        if find_spec("mcp") is None:
            raise BadRequest(
                f"mcp {options.name}: the package for MCP is not installed.",
                hint="Install it with: pip install 'parley-voice[mcp]'",
            )
        if self._house is None:
            return ()
        if not _has_values(self._house, options, context):
            # Perhaps it is only being prepared, for tenants who all have secrets of their own.
            if context.tenant:
                log.warning("mcp_lacks_secret", server=options.name, tenant=context.tenant)
            return ()
        server, secrets = _server(self._house, options, context)
        destinations = self._house.destinations
        if not context.owner and options.url:
            # Whoever runs Parley has written that address down in a file of theirs.
            destinations = destinations.plus(options.url)
        if options.url:
            destinations.require_url(options.url)
        connection = self._house.mcp.connection(server, destinations)
        self._tell_missing(options, connection)
        return [
            _tool(each, options, connection, secrets)
            for each in connection.tools
            if options.offers(each.name)
        ]

    def _tell_missing(self, options: McpOptions, connection: Connection) -> None:
        if not connection.tools:
            return
        known = {each.name for each in connection.tools}
        missing = tuple(sorted(set(options.only) - known - {ALL}))
        if missing and missing not in self._told_missing:
            self._told_missing.add(missing)
            log.warning("mcp_lacks_tools", server=options.name, tools=missing, has=sorted(known))


def _has_values(house: ToolHouse, options: McpOptions, context: ProviderContext) -> bool:
    """Whether calls of that tenant have every secret. Raises ``BadRequest`` for one that nobody
    has."""
    texts = [*options.headers.values(), *options.env.values()]
    for text in texts:
        house.credentials.require(text, owner=context.owner)
    try:
        for text in texts:
            house.credentials.filled(text, owner=context.owner, tenant=context.tenant)
    except BadRequest:
        return False
    return True


def _server(
    house: ToolHouse, options: McpOptions, context: ProviderContext
) -> tuple[McpServer, list[str]]:
    """Where it is, and the secrets that it is sent."""
    whose = {"owner": context.owner, "tenant": context.tenant}
    texts = [*options.headers.values(), *options.env.values()]
    values_in = house.credentials.values_in
    server = McpServer(
        options.name,
        options.way,
        url=options.url,
        headers=_filled(options.headers, house, whose),
        command=options.command,
        args=options.args,
        env=_filled(options.env, house, whose),
        owner=context.owner,
    )
    return server, [value for text in texts for value in values_in(text, **whose)]


def _filled(
    values: Mapping[str, str], house: ToolHouse, whose: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    filled = house.credentials.filled
    return tuple((name, filled(text, **whose)) for name, text in values.items())


def _tool(
    listing: Listing, options: McpOptions, connection: Connection, secrets: list[str]
) -> Tool:
    properties: Mapping[str, Any] = listing.schema.get("properties") or {}
    rules, hints = options.tools.get(listing.name, _AS_IT_IS), listing.hints
    # The agent's file knows better than the server.
    changes = hints.changes if rules.changes is None else rules.changes
    is_ours = KEY_ARGUMENT in properties and (changes or not hints.reads_only)
    ours = frozenset({KEY_ARGUMENT} if is_ours else ())
    tool = Tool(
        name=options.name_of(listing.name),
        description=" ".join(listing.description.split())[:LONGEST_DESCRIPTION],
        run=partial(_run, listing, options, connection, secrets, is_ours),
        parameters=plain_schema(listing.schema, ours),
        timeout_s=options.timeout_s,
        # What changes something is not cut off by a word of the caller's.
        interruptible=not changes,
        changes=changes,
        confirms=changes and hints.confirms,
    )
    return rules.applied_to(tool)


async def _run(
    listing: Listing,
    options: McpOptions,
    connection: Connection,
    secrets: list[str],
    takes_key: bool,
    call: ToolCall,
) -> Any:
    name, hints = listing.name, listing.hints
    changes = call.changes or bool(options.tools.get(name, _AS_IT_IS).changes)
    arguments, meta = dict(call.arguments), {"call_id": call.actions.call_id}
    if changes or not hints.reads_only:
        meta[KEY_ARGUMENT] = call.idempotency_key
    if takes_key:
        arguments[KEY_ARGUMENT] = call.idempotency_key
    tool = options.name_of(name)
    try:
        reply = await connection.call(
            name,
            arguments,
            meta=meta,
            tell=partial(_tell, call, secrets),
            may_repeat=takes_key or not changes or bool(hints.is_idempotent),
        )
        return hidden(result_of(reply, tool, options, changes=changes), secrets)
    except Lost as error:
        says = hidden(str(error), secrets)
        log.warning("mcp_call_lost", server=options.name, tool=tool, reason=says)
        failure = Failure("broken_off" if error.was_sent else "unreachable", says)
        raise ToolFailed(failure.sentence(tool, changes=changes)) from error
    except TooLarge as error:
        log.warning("mcp_answer_too_large", server=options.name, tool=tool, reason=str(error))
        raise ToolFailed(Failure("too_large", "").sentence(tool, changes=changes)) from error
    except Declined as error:
        says = hidden(str(error), secrets)[:LONGEST_ERROR]
        log.warning("mcp_call_declined", server=options.name, tool=tool, reason=says)
        raise ToolFailed(_why_declined(tool, says)) from error
    except ToolFailed as error:
        raise ToolFailed(hidden(error.message, secrets)) from error


async def _tell(call: ToolCall, secrets: list[str], text: str) -> None:
    await call.progress(hidden(text, secrets))


def _why_declined(tool: str, says: str) -> str:
    if is_unknown(says):
        return Failure("not_there", says).sentence(tool)
    return Failure("not_understood", says, says=says[:200]).sentence(tool)
