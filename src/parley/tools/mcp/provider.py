"""The tool ``mcp``: what an MCP server offers, as far as an agent's file lists it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import islice
from typing import Any

from parley.core.errors import BadRequest, ToolFailed
from parley.core.extras import install_hint
from parley.core.log import get_logger
from parley.tools.house import ToolHouse
from parley.tools.masking import secret_values
from parley.tools.mcp.answers import LONGEST_ERROR, is_unknown, result_of
from parley.tools.mcp.connection import Connection
from parley.tools.mcp.facts import Declined, Listing, Lost, McpServer, TooLarge
from parley.tools.mcp.options import ALL, McpOptions
from parley.tools.mcp.schemas import plain_schema
from parley.tools.premises import Flaw, Premises
from parley.tools.provider import ProviderContext
from parley.tools.rules import ToolRules
from parley.tools.spec import Tool, ToolCall
from parley.tools.webhook.credentials import hidden
from parley.tools.webhook.failures import Failure

log = get_logger(__name__)

KEY_ARGUMENT = "idempotency_key"
"""An argument of that name is filled in by us, and the model doesn't see it."""
LONGEST_DESCRIPTION = 2000
MOST_PREPARED = 50
"""Tenants whose connections are made before their first calls."""

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
                hint=install_hint("mcp"),
            )
        if self._house is None:
            return ()
        if not (context.owner or context.tenant):
            self._prepare_tenants(self._house, options)
        if not _has_values(self._house, options, context):
            # Perhaps it is only being prepared, for tenants who all have secrets of their own.
            if context.tenant:
                log.warning("mcp_lacks_secret", server=options.name, tenant=context.tenant)
            return ()
        server, secrets = _server(self._house, options, context)
        connection = _connection(self._house, server)
        self._tell_missing(options, connection)
        return [
            _tool(each, options, connection, secrets)
            for each in connection.tools
            if options.offers(each.name)
        ]

    def flaws(
        self, options: McpOptions, context: ProviderContext, premises: Premises
    ) -> Iterator[Flaw]:
        if options.url:
            # Whoever runs Parley has written the addresses in their own folder down themselves.
            is_ours = not context.owner
            yield from premises.flaws_of_url(("url",), options.url, trusts_it=is_ours)
        elif shutil.which(options.command, path=options.env.get("PATH")) is None:
            yield Flaw(
                ("command",),
                f"There is no program {options.command} on this machine. Install it, or write its "
                "whole path; it must be executable.",
            )
        place = ("headers",) if options.url else ("env",)
        yield from premises.flaws_of_secrets(place, options.secret_texts, owner=context.owner)

    def _prepare_tenants(self, house: ToolHouse, options: McpOptions) -> None:
        """Connect for tenants that have values of their own, too: a call has only such tools as
        are known when it begins. A program for each of them would be too much."""
        for headers in islice(house.credentials.tenants_own(options.headers), MOST_PREPARED):
            server = McpServer(
                options.name, options.way, url=options.url, headers=tuple(headers.items())
            )
            _connection(house, server)

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
    texts = options.secret_texts
    house.credentials.require(texts, owner=context.owner)
    try:
        for text in texts.values():
            house.credentials.filled(text, owner=context.owner, tenant=context.tenant)
    except BadRequest:
        return False
    return True


def _connection(house: ToolHouse, server: McpServer) -> Connection:
    """Raises ``DestinationRefused``."""
    destinations = house.destinations
    if not server.owner and server.url:
        # Whoever runs Parley has written that address down in a file of theirs.
        destinations = destinations.plus(server.url)
    if server.url:
        destinations.require_url(server.url)
    return house.mcp.connection(server, destinations)


def _server(
    house: ToolHouse, options: McpOptions, context: ProviderContext
) -> tuple[McpServer, list[str]]:
    """Where it is, and the secrets that it is sent."""
    whose = {"owner": context.owner, "tenant": context.tenant}
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
    return server, house.credentials.secrets_in(options.secret_texts, **whose)


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
    # The model may learn again what it has passed; the log may not.
    unsaid = [*secrets, *secret_values(call.arguments, listing.schema)]
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
        says = hidden(str(error), unsaid)
        log.warning("mcp_call_lost", server=options.name, tool=tool, reason=says)
        failure = Failure("broken_off" if error.was_sent else "unreachable", says)
        raise ToolFailed(failure.sentence(tool, changes=changes)) from error
    except TooLarge as error:
        log.warning("mcp_answer_too_large", server=options.name, tool=tool, reason=str(error))
        raise ToolFailed(Failure("too_large", "").sentence(tool, changes=changes)) from error
    except Declined as error:
        says = hidden(str(error), secrets)[:LONGEST_ERROR]
        reason = hidden(says, unsaid)
        log.warning("mcp_call_declined", server=options.name, tool=tool, reason=reason)
        raise ToolFailed(_why_declined(tool, says)) from error
    except ToolFailed as error:
        raise ToolFailed(hidden(error.message, secrets)) from error


async def _tell(call: ToolCall, secrets: list[str], text: str) -> None:
    await call.progress(hidden(text, secrets))


def _why_declined(tool: str, says: str) -> str:
    if is_unknown(says):
        return Failure("not_there", says).sentence(tool)
    return Failure("not_understood", says, says=says[:200]).sentence(tool)
