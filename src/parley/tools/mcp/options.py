"""What an agent's file says of an MCP server, checked where it is written."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from parley.core.errors import ParleyError
from parley.core.spelling import Spelling
from parley.tools.rules import ToolRules
from parley.tools.webhook.answer import LARGEST_ANSWER_BYTES
from parley.tools.webhook.credentials import has_reference, is_for_secrets, require_references
from parley.tools.webhook.destinations import Destinations

Way = Literal["streamable_http", "sse", "stdio"]

ALL = "*"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PREFIX = re.compile(r"[A-Za-z0-9_-]*")


def _url(value: str) -> str:
    if not value:
        return value
    try:
        Destinations(["*"]).require_url(value)
    except ParleyError as error:
        # Whether it may be reached is for the settings to say, not for the file.
        if error.code != "destination_refused":
            raise ValueError(str(error)) from error
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not _HEADER_NAME.fullmatch(name) or not text.isprintable():
            raise ValueError(f"{name} is no header")
        _require_no_secret(name, text)
    return value


def _environment(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not name or "=" in name or "\0" in name + text:
            raise ValueError(f"{name} is no name of an environment variable")
        _require_no_secret(name, text)
    return value


def _require_no_secret(name: str, text: str) -> None:
    require_references(text)
    if is_for_secrets(name) and not has_reference(text):
        raise ValueError(
            f"{name} looks like a secret: keep it in the environment and write ${{TOOL_NAME}} here"
        )


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError("takes letters, digits, _ and -")
    return value


class McpOptions(BaseModel):
    """One MCP server and which of its tools the agent may use.

    It is reached at a ``url``, or is a ``command`` that Parley starts; ``transport`` is worked out
    from that, but for servers that still speak sse. ``only`` lists the tools by the server's own
    names; "*" is all that it has. The model knows them by these names behind ``prefix``, which is
    the server's ``name`` and _ if it is left out. ``tools`` are rules for single ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[
        str,
        Spelling(
            r"[A-Za-z][A-Za-z0-9_-]{0,30}", "up to 31 letters, digits, _ and -, a letter first"
        ),
    ]
    only: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)
    prefix: Annotated[str, AfterValidator(_prefix), Field(max_length=31)] | None = None
    url: Annotated[str, AfterValidator(_url), Field(max_length=2000)] = ""
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = Field(default={})
    command: str = ""
    args: tuple[str, ...] = ()
    env: Annotated[dict[str, str], AfterValidator(_environment)] = Field(default={})
    transport: Way | None = None
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    max_answer_bytes: int = Field(default=LARGEST_ANSWER_BYTES, ge=256, le=65_536)
    most_items: int = Field(default=20, ge=1, le=500)
    tools: dict[str, ToolRules] = Field(default={})

    @model_validator(mode="after")
    def _fits_together(self) -> McpOptions:
        if bool(self.url) == bool(self.command):
            raise ValueError("takes a url, or a command that starts the server")
        if self.url and (self.args or self.env):
            raise ValueError("args and env are for a command, not for a url")
        if self.command and self.headers:
            raise ValueError("headers are for a url, not for a command")
        if self.transport is not None and (self.transport == "stdio") == bool(self.url):
            raise ValueError(f"transport {self.transport} does not fit: a command speaks stdio")
        if ALL not in self.only and (unlisted := sorted(self.tools.keys() - set(self.only))):
            raise ValueError(f"tools: {unlisted[0]} is not listed in only")
        return self

    @property
    def secret_texts(self) -> dict[str, str]:
        """What may hold secrets: headers or variables, by their names."""
        return {**self.headers, **self.env}

    @property
    def way(self) -> Way:
        return self.transport or ("streamable_http" if self.url else "stdio")

    def name_of(self, tool: str) -> str:
        """What the model calls the server's tool."""
        prefix = f"{self.name}_" if self.prefix is None else self.prefix
        return re.sub(r"[^A-Za-z0-9_-]", "_", f"{prefix}{tool}")[:64]

    def offers(self, tool: str) -> bool:
        return ALL in self.only or tool in self.only
