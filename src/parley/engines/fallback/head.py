"""What the chains of all three kinds have in common as engines."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from parley.engines.fallback.chain import Chain
from parley.engines.fallback.member import Member
from parley.engines.spec import Status


class Checkable(Protocol):
    """The part of an engine that is the same in every kind."""

    async def warm_up(self) -> None: ...

    async def check(self) -> Status: ...


EngineT = TypeVar("EngineT", bound=Checkable)


class ChainHead(Generic[EngineT]):
    """A chain that looks like one engine: it is as warm, and as well, as whoever serves now."""

    def __init__(self, chain: Chain[EngineT]) -> None:
        self.chain = chain

    @property
    def members(self) -> tuple[Member[EngineT], ...]:
        return self.chain.members

    async def warm_up(self) -> None:
        await self.chain.serving.engine.warm_up()

    async def check(self) -> Status:
        return await self.chain.serving.engine.check()

    async def close(self) -> None:
        """The engines are shared and belong to the catalog, which closes them."""
