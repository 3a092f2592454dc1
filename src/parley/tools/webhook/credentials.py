"""Tools' secrets: named in an agent's file, kept in the environment, hidden in what comes back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from parley.core.errors import BadRequest

PREFIX = "TOOL_"
HIDDEN = "***"

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
# Without "__", which stands before a tenant.
_NAME = re.compile(r"TOOL(_[A-Z0-9]+)+")
_PLAIN_TENANT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# Shorter ones are found in ordinary words.
_LEAST_HIDDEN = 6


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
            name: value for name, value in (values or {}).items() if name.startswith(PREFIX)
        }

    def filled(self, text: str, *, owner: str, tenant: str) -> str:
        """The text with the values in their places. Raises ``BadRequest`` for a missing one."""
        return _REFERENCE.sub(lambda found: self._value(found[1], owner, tenant), text)

    def values_in(self, text: str, *, owner: str, tenant: str) -> list[str]:
        """The values that the text is filled with. Raises ``BadRequest``."""
        return [self._value(name, owner, tenant) for name in _REFERENCE.findall(text)]

    def require(self, text: str, *, owner: str) -> None:
        """Raises ``BadRequest`` for a name that has no value for anybody."""
        for name in _REFERENCE.findall(text):
            names = [f"{name}__{_suffix(owner)}"] if owner else [name]
            has_one = any(each in self._values for each in names)
            if not has_one and not (not owner and self._is_some_tenants(name)):
                raise _missing(names[0])

    def _is_some_tenants(self, name: str) -> bool:
        return any(each.startswith(f"{name}__") for each in self._values)

    def _value(self, name: str, owner: str, tenant: str) -> str:
        names = [f"{name}__{_suffix(owner or tenant)}"] if owner or tenant else []
        if not owner:
            names.append(name)
        for each in names:
            if value := self._values.get(each, "").strip():
                if not (value.isascii() and value.isprintable()):
                    raise BadRequest(f"{each} holds something that no header can.")
                return value
        raise _missing(names[-1])


def hidden(value: Any, secrets: list[str]) -> Any:
    """The answer without those secrets: services like to repeat what they were sent."""
    found = [secret for secret in secrets if len(secret) >= _LEAST_HIDDEN]
    return _hide(value, found) if found else value


def _hide(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, list):
        return [_hide(each, secrets) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {_hide(key, secrets): _hide(each, secrets) for key, each in fields.items()}
    return value


def _missing(name: str) -> BadRequest:
    return BadRequest(f"{name} is not set.", hint="Set it in the environment or in .env.")


def _suffix(tenant: str) -> str:
    """No two tenants have the same: one of capitals or underscores is spelt in hexadecimal."""
    if _PLAIN_TENANT.fullmatch(tenant):
        return tenant.upper().replace("-", "_")
    return f"_{tenant.encode().hex().upper()}"
