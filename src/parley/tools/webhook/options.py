"""What an agent's file says of a webhook, checked where it is written."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from parley.core.errors import DestinationRefused, InvalidValue
from parley.tools.json_schema import SchemaProblem, read_schema
from parley.tools.rules import ToolRules
from parley.tools.webhook.answer import LARGEST_ANSWER_BYTES, AnswerOptions
from parley.tools.webhook.credentials import has_reference, is_for_secrets, require_references
from parley.tools.webhook.destinations import ANYWHERE, Destinations

_TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "content-type", "te", "upgrade",
     "accept-encoding", "idempotency-key", "x-parley-signature"}
)  # fmt: skip
_IN_PATH = re.compile(r"\{([^{}]*)\}")


def _tool_name(value: object) -> object:
    if isinstance(value, str) and not _TOOL_NAME.fullmatch(value):
        raise ValueError("takes letters, digits, _ and -, at most 64 of them")
    return value


def _url(value: object) -> object:
    if not isinstance(value, str):
        return value
    address, place, _ = value.partition("{")
    if place and (address.count("/") < 3 or "?" in address):
        raise ValueError("takes {arguments} in its path only, not in its host or query")
    try:
        Destinations([ANYWHERE]).require_url(address)
    except InvalidValue as error:
        raise ValueError(str(error)) from error
    except DestinationRefused:
        # Whether it may be reached is for the settings to say, not for the file.
        return value
    return value


def _schema(value: object) -> object:
    try:
        return read_schema(value)
    except SchemaProblem as problem:
        where = ".".join(str(part) for part in problem.place)
        raise PydanticCustomError(
            "bad_schema",
            "{says}",
            {
                "says": f"{where} {problem.message}" if where else problem.message,
                "place": problem.place,
            },
        ) from problem


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        _require_header(name, text)
    return value


def _require_header(name: str, text: str) -> None:
    if not _HEADER_NAME.fullmatch(name) or not (text.isascii() and text.isprintable()):
        raise ValueError(f"{name} is no header")
    if name.lower() in _OURS:
        raise ValueError(f"{name} is set by Parley itself")
    require_references(text)
    if is_for_secrets(name) and not has_reference(text):
        raise ValueError(
            f"{name} looks like a secret: keep it in the environment and write ${{TOOL_NAME}} here"
        )


def _answer(value: object) -> object:
    return {"take": value} if isinstance(value, str) else value


class WebhookOptions(ToolRules):
    """One tool that lives at a URL.

    With the envelope ``parley``, the default, it is sent a signed JSON envelope and answers with
    one. With ``plain`` it is somebody's HTTP API: the arguments are the JSON body, or the query of
    a GET or DELETE, but for those whose ``{name}`` is in the URL's path.
    """

    name: Annotated[str, BeforeValidator(_tool_name)]
    description: str = Field(min_length=1, max_length=2000)
    url: Annotated[str, BeforeValidator(_url), Field(max_length=2000)]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    parameters: Annotated[dict[str, Any], BeforeValidator(_schema)] = Field(
        default_factory=lambda: read_schema({})
    )
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = Field(default={})
    envelope: Literal["parley", "plain"] = "parley"
    answer: Annotated[AnswerOptions, BeforeValidator(_answer)] = AnswerOptions()
    max_answer_bytes: int = Field(default=LARGEST_ANSWER_BYTES, ge=256, le=65_536)

    @model_validator(mode="after")
    def _fits_together(self) -> WebhookOptions:
        if self.envelope == "parley" and self.method not in ("POST", "PUT", "PATCH"):
            raise ValueError(
                f"method: an envelope can't be sent by {self.method}; use POST, or envelope: plain"
            )
        places = self.in_path
        if places and self.envelope == "parley":
            raise ValueError("url: an envelope has all arguments in it; use envelope: plain")
        required = self.parameters.get("required", ())
        for name in places:
            if name not in required:
                raise ValueError(f"url: {{{name}}} must be among the parameters, and required")
        return self

    @property
    def fixed_url(self) -> str:
        """The URL up to its first argument: the host, in any case."""
        return self.url.partition("{")[0]

    @property
    def in_path(self) -> list[str]:
        """The arguments whose places are in the URL."""
        return _IN_PATH.findall(self.url)
