"""What is here for agents' tools: enough to say, without asking anybody, which won't work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from parley.core.errors import ParleyError
from parley.core.registry import did_you_mean
from parley.settings import Settings, tool_values
from parley.tools.provider import ProviderContext
from parley.tools.webhook.credentials import (
    LEAST_SECRET,
    Credentials,
    fits_header,
    is_for_secrets,
    missing,
    name_for,
    references_in,
)
from parley.tools.webhook.destinations import Destinations

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that won't work here; ``place`` is where in the tool's options."""

    place: Place
    message: str


@runtime_checkable
class Inspected(Protocol):
    """A provider whose tools need something to be here."""

    def flaws(
        self, options: Any, context: ProviderContext, premises: Premises
    ) -> Iterable[Flaw]: ...


@dataclass(frozen=True)
class Premises:
    """``n8n_lacks`` names the settings without which there is no n8n; ``tenants`` is None where
    nobody could say which there are."""

    destinations: Destinations
    credentials: Credentials
    n8n_lacks: tuple[str, ...] = ()
    tenants: frozenset[str] | None = None

    @classmethod
    def from_settings(cls, settings: Settings, tenants: frozenset[str] | None = None) -> Premises:
        implied = [settings.n8n_base_url] if settings.n8n_base_url else []
        needed = {"N8N_BASE_URL": settings.n8n_base_url, "N8N_API_KEY": settings.n8n_api_key}
        return cls(
            Destinations(settings.tool_hosts, implied),
            Credentials(tool_values()),
            tuple(name for name, value in needed.items() if not value),
            tenants,
        )

    def flaws_of_url(self, place: Place, url: str, *, trusts_it: bool = False) -> Iterator[Flaw]:
        """One that is refused, whatever its host's address turns out to be. The house
        ``trusts_it`` where whoever runs Parley has written it down for this very purpose."""
        allowed = self.destinations.plus(url) if trusts_it else self.destinations
        try:
            allowed.require_url(url)
        except ParleyError as error:
            yield Flaw(place, str(error))

    def flaws_of_secrets(
        self, place: Place, texts: Mapping[str, str], *, owner: str
    ) -> Iterator[Flaw]:
        """What is wrong with the values that headers, or variables, are filled from."""
        for header, text in texts.items():
            for name in references_in(text):
                for says in self._says_of(name, owner=owner, is_secret=is_for_secrets(header)):
                    yield Flaw((*place, header), says)

    def _says_of(self, name: str, *, owner: str, is_secret: bool) -> Iterator[str]:
        found = self.credentials.readable(name, owner=owner)
        if not found:
            yield self._missing(name_for(name, owner) if owner else name)
        for full_name, value in found.items():
            if not fits_header(value):
                yield (
                    f"{full_name} holds something that no header can. Set it anew: letters, "
                    "digits and signs of ASCII, in one line."
                )
            elif is_secret and len(value) < LEAST_SECRET:
                yield (
                    f"{full_name} is shorter than {LEAST_SECRET} letters, so it can't be hidden "
                    "where an answer repeats it. Have the service give you a longer one."
                )
            elif full_name != name and not owner:
                yield from self._nobodys(name, full_name)

    def _missing(self, name: str) -> str:
        says = str(missing(name))
        near = did_you_mean(name, self.credentials.names)
        return f"{says} {near}" if near.startswith("Did") else says

    def _nobodys(self, name: str, full_name: str) -> Iterator[str]:
        """A value for a tenant that there isn't."""
        if self.tenants is None:
            return
        known = [name_for(name, tenant) for tenant in self.tenants]
        if full_name not in known:
            yield f"{full_name} is for a tenant that there isn't. {did_you_mean(full_name, known)}"
