"""What a store of appointments adds to the workflows: its nodes, and its rows in JavaScript."""

from __future__ import annotations

from typing import Protocol

from make_workflows.flow import Flow

At = tuple[int, int]


class Store(Protocol):
    """Adds nodes to a flow; every method gives the name of the node that it added.

    Nothing but the nodes "Asked" and "Decide" may be relied on by them.
    """

    @property
    def rows(self) -> tuple[str, ...]:
        """Scripts that make ``read``: of a node's items it makes rows ``{id, key, person, from, to,
        holds, state, order, moved_from, ended_by}``."""
        ...

    @property
    def verdict(self) -> str:
        """The script that makes ``t``, ``rows``, ``won`` and ``row_id`` after "Claim"."""
        ...

    @property
    def lost(self) -> str:
        """JavaScript in the verdict: the answer to whom the time is not."""
        ...

    @property
    def ended(self) -> str:
        """JavaScript after "End old": whether it was this very run, or an earlier attempt at it,
        that has ended the appointment."""
        ...

    @property
    def unchanged(self) -> str:
        """The script that answers whoever has not ended it."""
        ...

    def find(self, flow: Flow, at: At, operation: str) -> str: ...

    def claim(self, flow: Flow, at: At) -> str:
        """Take the time that was asked for, if need be only to give it back."""
        ...

    def check(self, flow: Flow, at: At) -> str | None:
        """Look who else has taken it."""
        ...

    def give_way(self, flow: Flow, at: At) -> str | None:
        """What is done before "Check" looks once more, where a verdict may be ``again``."""
        ...

    def keep(self, flow: Flow, at: At) -> str | None: ...

    def let_go(self, flow: Flow, at: At) -> str | None: ...

    def end(self, flow: Flow, at: At, why: str) -> str:
        """End the appointment ``old_id`` that "Decide" has chosen, if nobody else has: the store
        lets only one of several do that."""
        ...

    def give_back(self, flow: Flow, at: At) -> str:
        """Let the new time go: the old appointment was somebody else's to end."""
        ...
