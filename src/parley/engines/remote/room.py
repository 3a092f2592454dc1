"""How many requests an engine takes at once."""

from __future__ import annotations

from typing import Any

from parley.core.errors import EngineBusy
from parley.engines.remote.instances import Instances


def require_room(engine: str, instances: Instances[Any], most: int | None) -> None:
    """Raises ``EngineBusy`` when ``most`` requests are under way; None is no limit."""
    if most is not None and sum(each.busy for each in instances.all) >= most:
        raise EngineBusy(f"{engine} is busy with {most} requests already.", retry_after_s=1)
