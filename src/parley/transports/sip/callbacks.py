"""What a call answers where nobody has said what it should."""

from __future__ import annotations

from parley.core.errors import NotSupported, UnsupportedMedia


async def changes_nothing(_offer: str) -> str:
    raise NotSupported("This call can't be changed.")


async def wants_nothing(_answer: str) -> None:
    return None


async def knows_no_type(kind: str, _body: str) -> None:
    raise UnsupportedMedia(f"{kind} means nothing here.")
