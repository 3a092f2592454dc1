"""Gives an agent the workflows that its file lists, and what stands in for them without n8n."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from parley.core.errors import BadRequest
from parley.core.log import get_logger
from parley.core.registry import did_you_mean
from parley.tools.house import ToolHouse
from parley.tools.premises import Flaw, Premises
from parley.tools.provider import ProviderContext, ToolProvider
from parley.tools.spec import Tool
from parley.tools.webhook.tool import WebhookTool

log = get_logger(__name__)


class N8nOptions(BaseModel):
    """Which workflows the agent may use: a workflow that somebody publishes is nobody's tool
    before an agent lists it.

    ``otherwise`` are providers of Parley's own, with their options, whose tools of these names
    are used where n8n isn't configured, or where it has none of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    only: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)
    otherwise: dict[str, dict[str, Any] | None] = {}


class N8nProvider:
    """Makes tools of workflows. Without a ``house`` it only checks what is written."""

    name = "n8n"
    summary = "Workflows of n8n that are published with the tag parley-tool."
    options = N8nOptions

    def __init__(
        self, house: ToolHouse | None = None, stand_ins: Iterable[ToolProvider] = ()
    ) -> None:
        self._house = house
        self._stand_ins = {provider.name: provider for provider in stand_ins}
        self._told_missing: set[frozenset[str]] = set()

    def tools(self, options: N8nOptions, context: ProviderContext) -> Sequence[Tool]:
        """Raises ``BadRequest`` where nothing is there to take the tools from."""
        instead = self._instead(options, context)
        if self._house is None:
            return instead
        directory = self._house.n8n
        if directory is None:
            if options.otherwise:
                return instead
            raise BadRequest(
                "The agent uses workflows of n8n, and no n8n is configured.",
                hint="Set N8N_BASE_URL and N8N_API_KEY, or say what to use otherwise.",
            )
        known = directory.tools
        found = [known[name] for name in options.only if name in known]
        if not found and options.otherwise and directory.is_known:
            return instead
        self._tell_missing(frozenset(options.only).difference(known))
        return [
            WebhookTool(tool.options(), self._house, context, self.name).tool() for tool in found
        ]

    def flaws(
        self, options: N8nOptions, context: ProviderContext, premises: Premises
    ) -> Iterator[Flaw]:
        if premises.n8n_lacks and not options.otherwise:
            names = " and ".join(premises.n8n_lacks)
            yield Flaw(
                (), f"No n8n is configured. Set {names}, or say under otherwise what to use then."
            )

    def _instead(self, options: N8nOptions, context: ProviderContext) -> list[Tool]:
        tools: list[Tool] = []
        for name, values in options.otherwise.items():
            provider = self._stand_ins.get(name)
            if provider is None:
                hint = did_you_mean(name, list(self._stand_ins))
                raise BadRequest(f'otherwise: there is no tool "{name}". {hint}')
            made = provider.tools(_read(provider, values or {}), context)
            tools += [replace(tool, provider=name) for tool in made]
        if tools:
            names = [tool.name for tool in tools]
            if missing := [name for name in options.only if name not in names]:
                raise BadRequest(f'otherwise: there is no "{missing[0]}" among {", ".join(names)}.')
        return [tool for tool in tools if tool.name in options.only]

    def _tell_missing(self, missing: frozenset[str]) -> None:
        if missing and missing not in self._told_missing:
            self._told_missing.add(missing)
            log.warning(
                "n8n_lacks_tools",
                tools=sorted(missing),
                hint="Publish these workflows in n8n with the tag parley-tool.",
            )


def _read(provider: ToolProvider, values: Mapping[str, Any]) -> BaseModel:
    try:
        return provider.options.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in ("otherwise", provider.name, *first["loc"]))
        raise BadRequest(f"{place}: {first['msg'].removeprefix('Value error, ')}.") from error
