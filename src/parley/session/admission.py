"""What the session asks of whoever knows tenants: may this call be, and for how long?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from parley.core.call import CallInfo


class Reservation(Protocol):
    """A call's place with its tenant, and what has been set aside for it."""

    def when_spent(self, end: Callable[[], None]) -> None:
        """Call ``end`` once, as soon as the tenant's quota is used up."""
        ...

    def note(self, *, tokens: int = 0, characters: int = 0) -> None:
        """Tell what the call has used besides time since the last word."""
        ...

    def settle(self) -> None:
        """The call is over: charge what it used, give the rest back. Never waits, never fails."""
        ...


class Admission(Protocol):
    """Lets calls in, tenant by tenant."""

    async def reserve(self, call: CallInfo) -> Reservation:
        """A place for the call. Raises ``QuotaExceeded`` or ``CallLimitReached``."""
        ...


class OpenHouse:
    """An admission that knows no tenants and refuses nobody."""

    async def reserve(self, call: CallInfo) -> Reservation:
        return _Unlimited()


class _Unlimited:
    def when_spent(self, end: Callable[[], None]) -> None:
        return

    def note(self, *, tokens: int = 0, characters: int = 0) -> None:
        return

    def settle(self) -> None:
        return
