"""Tools' secrets: named in an agent's file, kept in the environment, hidden in what comes back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from parley.core.errors import BadRequest
from parley.core.log import get_logger
from parley.tools.masking import LEAST_ANYWHERE, without

log = get_logger(__name__)

PREFIX = "TOOL_"
LEAST_SECRET = 4
"""Letters. What is shorter can't be told from ordinary words, and is not hidden."""

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
# Without "__", which stands before a tenant.
_NAME = re.compile(r"TOOL(_[A-Z0-9]+)+")
_PLAIN_TENANT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SECRET = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)


def is_for_secrets(name: str) -> bool:
    """Whether a header or a variable of that name holds a secret."""
    return _SECRET.search(name) is not None


def require_references(text: str) -> None:
    """Raises ``ValueError`` for a ``${…}`` that names what tools may not read."""
    for name in _REFERENCE.findall(text):
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"${{{name}}} can't be read: tools read names that start with {PREFIX}, in "
                "capitals, without two underscores in a row"
            )


def has_reference(text: str) -> bool:
    return _REFERENCE.search(text) is not None


class Credentials:
    """The environment's ``TOOL_…`` values, and who may have which.

    The house's agents read ``TOOL_CRM_KEY``, or ``TOOL_CRM_KEY__ACME`` in calls of the tenant
    acme where there is one. A tenant's own agent reads its tenant's alone: what another tenant, or
    the house, trusts to us can't be sent to a URL of its choosing.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = {
            name: value.strip()
            for name, value in (values or {}).items()
            if name.startswith(PREFIX) and value.strip()
        }
        self._told_short: set[str] = set()

    @property
    def names(self) -> Iterable[str]:
        """All names that have a value."""
        return self._values.keys()

    @property
    def has_tenants_own(self) -> bool:
        """Whether some tenant has a value of its own."""
        return any("__" in name for name in self._values)

    def readable(self, name: str, *, owner: str) -> dict[str, str]:
        """What that name may stand for in an agent's file: each value by its full name."""
        if owner:
            names = [name_for(name, owner)]
        else:
            names = [name, *(each for each in self._values if each.startswith(f"{name}__"))]
        return {each: self._values[each] for each in names if each in self._values}

    def filled(self, text: str, *, owner: str, tenant: str) -> str:
        """The text with the values in their places. Raises ``BadRequest`` for a missing one."""
        return _REFERENCE.sub(lambda found: self._value(found[1], owner, tenant), text)

    def values_in(self, text: str, *, owner: str, tenant: str) -> list[str]:
        """The values that the text is filled with. Raises ``BadRequest``."""
        return [self._value(name, owner, tenant) for name in _REFERENCE.findall(text)]

    def secrets_in(self, texts: Mapping[str, str], *, owner: str, tenant: str) -> list[str]:
        """What must not come back to light of those headers, or variables. Raises ``BadRequest``.

        What is short counts where the header's name says that it is a secret: a branch's number
        is found in many answers.
        """
        return [
            value
            for name, text in texts.items()
            for value in self.values_in(text, owner=owner, tenant=tenant)
            if len(value) >= (LEAST_SECRET if is_for_secrets(name) else LEAST_ANYWHERE)
        ]

    def tenants_own(self, texts: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Those headers as they are filled for each of the tenants that have own values for one."""
        names = {name for text in texts.values() for name in references_in(text)}
        starts = [f"{name}__" for name in names]
        ends = {
            full_name.removeprefix(start)
            for start in starts
            for full_name in self._values
            if full_name.startswith(start)
        }
        for end in sorted(ends):
            own = {name: self._values.get(f"{name}__{end}", "") for name in names}
            values = {name: value or self._values.get(name, "") for name, value in own.items()}
            if all(value and fits_header(value) for value in values.values()):
                yield {
                    header: _REFERENCE.sub(lambda found, values=values: values[found[1]], text)
                    for header, text in texts.items()
                }

    def require(self, texts: Mapping[str, str], *, owner: str) -> None:
        """Raises ``BadRequest`` for a name in those headers that has no value for anybody."""
        for header, text in texts.items():
            for name in references_in(text):
                found = self.readable(name, owner=owner)
                if not found:
                    raise missing(name_for(name, owner) if owner else name)
                if is_for_secrets(header):
                    self._tell_short(found)

    def _tell_short(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            if len(value) < LEAST_SECRET and name not in self._told_short:
                self._told_short.add(name)
                log.warning("tool_secret_too_short", name=name, least=LEAST_SECRET)

    def _value(self, name: str, owner: str, tenant: str) -> str:
        names = [name_for(name, owner or tenant)] if owner or tenant else []
        if not owner:
            names.append(name)
        for each in names:
            if value := self._values.get(each, ""):
                if not fits_header(value):
                    raise BadRequest(f"{each} holds something that no header can.")
                return value
        raise missing(names[-1])


def references_in(text: str) -> list[str]:
    """The names that it is filled from."""
    return _REFERENCE.findall(text)


def fits_header(value: str) -> bool:
    return value.isascii() and value.isprintable()


def hidden(value: Any, secrets: list[str]) -> Any:
    """The answer without those secrets: services like to repeat what they were sent."""
    return without(value, secrets)


def missing(name: str) -> BadRequest:
    return BadRequest(f"{name} is not set.", hint="Set it in the environment or in .env.")


def name_for(name: str, tenant: str) -> str:
    """The name under which a tenant has a value of its own."""
    return f"{name}__{_suffix(tenant)}"


def _suffix(tenant: str) -> str:
    """No two tenants have the same: one of capitals or underscores is spelt in hexadecimal."""
    if _PLAIN_TENANT.fullmatch(tenant):
        return tenant.upper().replace("-", "_")
    return f"_{tenant.encode().hex().upper()}"
