"""Whose prompts a server may still have: what is another tenant's must not make a reply faster."""

from __future__ import annotations

_SEVERAL = None


class WarmPrompts:
    """What one server was asked, by slot.

    A server that compares a prompt with what a slot has had before answers sooner the more of it
    is the same; whoever can measure that can guess what others say.
    """

    def __init__(self) -> None:
        self._owners: dict[int, str | None] = {}
        self._roaming: set[str] = set()

    def takes(self, slot: int | None, tenant: str) -> bool:
        """Note a request, with the slot if it is bound to one; whether all that it may find there
        is its own tenant's. "" is the house, whose prompts are no secret."""
        if not tenant:
            return True
        if slot is None:
            return self._takes_any(tenant)
        strangers = self._roaming - {tenant}
        is_own = self._owners[slot] == tenant if slot in self._owners else not strangers
        self._owners[slot] = tenant
        return is_own

    def _takes_any(self, tenant: str) -> bool:
        """The server chooses the slot, so that the prompt may be in each of them afterwards."""
        is_own = {tenant}.issuperset([*self._owners.values(), *self._roaming])
        for slot, owner in self._owners.items():
            if owner != tenant:
                self._owners[slot] = _SEVERAL
        self._roaming.add(tenant)
        return is_own
