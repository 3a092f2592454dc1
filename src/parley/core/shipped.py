"""Where the agents and scripts that come with Parley lie on this machine."""

from __future__ import annotations

from pathlib import Path

from parley.core.errors import NotFound


def shipped_folder() -> Path:
    """The folder of shipped agents: inside the installed package, or ``agents/`` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    candidates = (package / "shipped_agents", package.parents[1] / "agents")
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise NotFound(
        f"The agents that come with Parley are missing: {candidates[0]} does not exist.",
        hint="Install Parley again.",
    )
