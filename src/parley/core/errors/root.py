"""What every error of ours has: a code, a status, a cure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar


class ParleyError(Exception):
    """Root of everything that Parley raises on purpose."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    can_retry: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""
    headers: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What an HTTP answer with this error says besides."""

    def __init__(
        self, message: str, *, hint: str = "", param: str | None = None, retry_after_s: int = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.param = param
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


def error_types() -> list[type[ParleyError]]:
    """Every error class there is, root first."""
    found: list[type[ParleyError]] = []
    queue: list[type[ParleyError]] = [ParleyError]
    while queue:
        error_type = queue.pop(0)
        found.append(error_type)
        queue.extend(error_type.__subclasses__())
    return found
