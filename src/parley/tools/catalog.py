"""The tools that agents can use, by the names of their providers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from parley.core.errors import BadRequest, ParleyError
from parley.core.log import get_logger
from parley.core.registry import did_you_mean
from parley.tools.appointments import CalendarProvider
from parley.tools.clock import ClockProvider
from parley.tools.house import ToolHouse
from parley.tools.keypad import KeypadProvider
from parley.tools.mcp.provider import McpProvider
from parley.tools.n8n.provider import N8nProvider
from parley.tools.premises import Flaw, Inspected, Premises
from parley.tools.provider import ProviderContext, ToolProvider
from parley.tools.recordings import RecordingsProvider
from parley.tools.rules import LEARNED
from parley.tools.spec import Tool
from parley.tools.telephone import TelephoneProvider
from parley.tools.transfer import HoldProvider, TransferProvider
from parley.tools.webhook.provider import WebhookProvider

log = get_logger(__name__)

Clock = Callable[[tzinfo | None], datetime]
"""``clock(zone)``: the time now in that zone, or in this machine's for None."""


@runtime_checkable
class ToolWish(Protocol):
    """A tool provider that an agent wants, with its options for it."""

    @property
    def name(self) -> str: ...

    @property
    def options(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class _Wish:
    name: str
    options: Mapping[str, Any]


class ToolCatalog:
    """Knows the providers and makes an agent's tools. One per process: a tenant's calls share a
    calendar. Without a ``house`` the tools that live outside can be checked, not used."""

    def __init__(
        self,
        providers: Iterable[ToolProvider] | None = None,
        clock: Clock | None = None,
        house: ToolHouse | None = None,
    ) -> None:
        chosen = built_in_providers(house) if providers is None else providers
        self._providers = {provider.name: provider for provider in chosen}
        self._clock: Clock = clock or _now_in
        self._told_twice: set[tuple[str, str]] = set()

    def names(self) -> list[str]:
        return sorted(self._providers)

    def providers(self) -> Sequence[ToolProvider]:
        return tuple(self._providers.values())

    def tools_for(
        self,
        wanted: Sequence[Any],
        *,
        time_zone: str = "",
        tenant: str = "",
        folder: Path | None = None,
        owner: str = "",
        language: str = "",
    ) -> list[Tool]:
        """The tools of every provider that is wanted, in order, for calls of ``tenant``, by an
        agent of ``owner`` that speaks ``language`` and whose file lies in ``folder``.

        A wish is a name (``"calendar"``), one tool of a provider (``"calendar.free_times"``), a
        name with options (``{"calendar": {"opens": "08:00"}}``) or an object with ``name`` and
        ``options``. Raises ``BadRequest`` that says what there is.
        """
        now = partial(self._clock, _zone(time_zone))
        context = ProviderContext(time_zone, now, tenant, folder, owner, language)
        tools: dict[str, Tool] = {}
        for each in wanted:
            wish = _read_wish(each)
            for tool in self._tools_of(wish, context):
                if tool.name in tools and tool.provider in LEARNED:
                    # Somebody else's server has chosen that name; the agent's file is right.
                    self._tell_twice(tool)
                    continue
                if tool.name in tools:
                    raise BadRequest(
                        f'The tool "{tool.name}" is given twice.',
                        hint=f'Name "{wish.name}" once in the agent\'s tools.',
                    )
                tools[tool.name] = tool
        return list(tools.values())

    def flaws_of(
        self, wanted: object, premises: Premises, *, folder: Path | None = None, owner: str = ""
    ) -> list[Flaw]:
        """What will keep these tools from working, as far as it can be known without asking
        anybody: for a catalog without a house. What is written wrongly, ``tools_for`` tells."""
        context = ProviderContext("", partial(self._clock, None), "", folder, owner)
        try:
            provider, options, _ = self._read(_read_wish(wanted))
            provider.tools(options, context)
        except ParleyError as error:
            return [Flaw((), str(error))]
        if not isinstance(provider, Inspected):
            return []
        return list(provider.flaws(options, context, premises))

    def _tell_twice(self, tool: Tool) -> None:
        if (tool.provider, tool.name) not in self._told_twice:
            self._told_twice.add((tool.provider, tool.name))
            log.warning("tool_given_twice", tool=tool.name, left_out=tool.provider)

    def _read(self, wish: ToolWish) -> tuple[ToolProvider, Any, str]:
        """The provider, its options, and which single tool is meant, if one is."""
        name, _, single = wish.name.partition(".")
        provider = self._providers.get(name)
        if provider is None:
            raise BadRequest(f'There is no tool "{wish.name}". {did_you_mean(name, self.names())}')
        try:
            options = provider.options.model_validate(dict(wish.options))
        except ValidationError as error:
            raise BadRequest(f"Tool {name}: {_first_problem(error, provider)}") from error
        return provider, options, single

    def _tools_of(self, wish: ToolWish, context: ProviderContext) -> Sequence[Tool]:
        provider, options, single = self._read(wish)
        name = provider.name
        tools = [_named(tool, name) for tool in provider.tools(options, context)]
        if not single:
            return tools
        found = [tool for tool in tools if tool.name == single]
        if not found:
            names = [f"{name}.{tool.name}" for tool in tools]
            raise BadRequest(f'There is no tool "{wish.name}". {did_you_mean(wish.name, names)}')
        return found


def _named(tool: Tool, provider: str) -> Tool:
    return tool if tool.provider else replace(tool, provider=provider)


def built_in_providers(house: ToolHouse | None = None) -> list[ToolProvider]:
    """All that Parley brings along. Without a ``house`` those whose tools live outside only check
    what is written."""
    calendar = CalendarProvider()
    return [
        calendar,
        ClockProvider(),
        TelephoneProvider(),
        TransferProvider(),
        HoldProvider(),
        KeypadProvider(),
        RecordingsProvider(),
        WebhookProvider(house),
        McpProvider(house),
        N8nProvider(house, [calendar]),
    ]


def _read_wish(wish: object) -> ToolWish:
    if isinstance(wish, str):
        return _Wish(wish, {})
    if isinstance(wish, Mapping):
        named = cast("Mapping[str, Any]", wish)
        name, options = next(iter(named.items()), ("", None))
        if len(named) == 1 and (options is None or isinstance(options, Mapping)):
            return _Wish(str(name), cast("Mapping[str, Any]", options or {}))
    elif isinstance(wish, ToolWish):
        return wish
    raise BadRequest(
        f"{wish!r} is no tool.", hint='Write a name ("calendar") or {"calendar": {options}}.'
    )


def _first_problem(error: ValidationError, provider: ToolProvider) -> str:
    details = error.errors()[0]
    key = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        known = list(provider.options.model_fields)
        return f'there is no option "{key}". ' + did_you_mean(key, known)
    what = details["msg"].removeprefix("Value error, ")
    what = what if what.endswith((".", "?")) else f"{what}."
    return f"{key}: {what}" if key else what


def _zone(name: str) -> tzinfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadRequest(
            f'There is no time zone "{name}" on this machine.',
            hint="Write it as Europe/Berlin; if that is right, install the tzdata package.",
        ) from error


def _now_in(zone: tzinfo | None) -> datetime:
    return datetime.now(zone) if zone else datetime.now().astimezone()
