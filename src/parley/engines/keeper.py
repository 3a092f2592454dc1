"""What an engine can also be: one that keeps models, which can be listed, fetched and removed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Model:
    """A model that an engine has, or could fetch. ``bytes`` is 0 where nobody knows."""

    id: str
    bytes: int = 0
    is_present: bool = True


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a download has come. ``total_bytes`` is 0 while nobody knows."""

    model: str
    done_bytes: int = 0
    total_bytes: int = 0
    says: str = ""


@runtime_checkable
class ModelKeeper(Protocol):
    """What an engine can also be: one whose models can be listed, fetched and removed."""

    async def models(self) -> Sequence[Model]: ...

    def pull(self, model: str) -> AsyncIterator[PullProgress]:
        """Fetch a model; the iterator ends when it is there. Closing it stops the download."""
        ...

    async def remove(self, model: str) -> None:
        """Raises ``NotFound`` for a model that isn't there."""
        ...
