"""Where agents' files lie: the house's in a folder, a tenant's in a folder of its own below."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TENANTS = "tenants"
"""The folder whose folders are named for tenants."""


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """A folder of agents that belong to ``tenant``; "" is the house, whose agents all may call."""

    folder: Path
    tenant: str = ""

    def files(self) -> list[Path]:
        """The agents' files; names that start with ``.`` or ``_`` are left alone."""
        found = [*self.folder.glob("*.yaml"), *self.folder.glob("*.yml")]
        return sorted(file for file in found if _counts(file))


def places_in(folders: Iterable[Path]) -> list[AgentPlace]:
    """Each folder, and below each the folders of tenants."""
    return [place for folder in folders for place in (AgentPlace(folder), *_tenants(folder))]


def tenant_of(file: Path) -> str:
    """Whose agent a file describes, by where it lies; "" is the house's."""
    folder = file.absolute().parent
    return folder.name if folder.parent.name == TENANTS and _counts(folder) else ""


def watched_in(folders: Iterable[Path]) -> list[Path]:
    """Every folder in which something can change."""
    found = [place.folder for place in places_in(folders)]
    found += [folder / TENANTS for folder in found]
    return sorted(folder for folder in found if folder.is_dir())


def _tenants(folder: Path) -> list[AgentPlace]:
    try:
        found = sorted((folder / TENANTS).iterdir())
    except OSError:
        return []
    return [AgentPlace(each, each.name) for each in found if each.is_dir() and _counts(each)]


def _counts(path: Path) -> bool:
    return not path.name.startswith((".", "_"))
