"""What a server says that its tool does, and what follows for whoever uses it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hints:
    """``readOnlyHint``, ``destructiveHint`` and ``idempotentHint``; None is what isn't said.

    The protocol takes a tool of which nothing is said for one that destroys, and most servers say
    nothing: its defaults count only for those that do.
    """

    reads_only: bool | None = None
    destroys: bool | None = None
    is_idempotent: bool | None = None

    @property
    def changes(self) -> bool:
        says_something = self.reads_only is not None or self.destroys is not None
        return says_something and not self.reads_only

    @property
    def confirms(self) -> bool:
        """Whether it does what can't be taken back."""
        return self.changes and self.destroys is not False


NO_HINTS = Hints()
