"""Keeps responses for a while, so that the next request can carry on from them."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parley.core.errors import NotFound
from parley.engines.spec import Message

MOST_KEPT = 500
MOST_BYTES = 32 * 1024 * 1024
KEPT_S = 3600.0


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """A response as its client got it, and the conversation up to and with it."""

    body: Mapping[str, Any]
    messages: tuple[Message, ...]
    size_bytes: int
    until_s: float


class ResponseStore:
    """Each tenant's latest responses, in memory: ``most`` of them, ``most_bytes`` in all."""

    def __init__(
        self,
        *,
        most: int = MOST_KEPT,
        most_bytes: int = MOST_BYTES,
        kept_s: float = KEPT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept_s = kept_s
        self._clock = clock
        self._tenants: dict[str, OrderedDict[str, KeptResponse]] = {}

    def keep(self, tenant: str, body: Mapping[str, Any], messages: Sequence[Message]) -> None:
        kept = self._tenants.setdefault(tenant, OrderedDict())
        size_bytes = len(json.dumps([body, list(messages)], default=str))
        until_s = self._clock() + self._kept_s
        kept[str(body["id"])] = KeptResponse(body, tuple(messages), size_bytes, until_s)
        self._trim(kept)

    def get(self, tenant: str, id: str) -> KeptResponse:
        """Raises ``NotFound``, also for another tenant's."""
        kept = self._tenants.get(tenant, OrderedDict[str, KeptResponse]())
        self._trim(kept)
        if id not in kept:
            raise NotFound(
                f"There is no response {id!r}.",
                hint=f"Responses are kept in memory for {self._kept_s / 60:g} minutes.",
            )
        return kept[id]

    def remove(self, tenant: str, id: str) -> None:
        """Raises ``NotFound``."""
        self.get(tenant, id)
        del self._tenants[tenant][id]

    def _trim(self, kept: OrderedDict[str, KeptResponse]) -> None:
        now_s = self._clock()
        size_bytes = sum(each.size_bytes for each in kept.values())
        while kept:
            oldest = next(iter(kept.values()))
            is_too_much = len(kept) > self._most or size_bytes > self._most_bytes
            if not is_too_much and oldest.until_s > now_s:
                return
            size_bytes -= oldest.size_bytes
            kept.popitem(last=False)
