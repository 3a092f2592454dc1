"""The kinds of value that a setting can have, beyond plain numbers and words."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, model_validator
from pydantic_settings import NoDecode

from parley.core.errors import BadSettings
from parley.core.log import LogFormat

Listener = Literal["web", "rustpbx", "sip"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_ICE_SCHEMES = ("stun:", "stuns:", "turn:", "turns:")


class IceServer(BaseModel):
    """A STUN or TURN server, for us and for the browser."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    urls: tuple[str, ...]
    username: str = ""
    credential: SecretStr = SecretStr("")

    @model_validator(mode="before")
    @classmethod
    def _from_short_forms(cls, value: object) -> object:
        if isinstance(value, str):
            return {"urls": [value]}
        if isinstance(value, dict):
            fields = cast(dict[str, Any], value)
            if isinstance(fields.get("urls"), str):
                return cast(object, fields | {"urls": [fields["urls"]]})
            return fields
        return value

    @model_validator(mode="after")
    def _is_usable(self) -> IceServer:
        if not self.urls:
            raise ValueError("needs a URL")
        for url in self.urls:
            if not url.startswith(_ICE_SCHEMES) or url.endswith(":"):
                raise ValueError("URLs start with stun:, stuns:, turn: or turns:")
            if url.startswith("turn") and not (self.username and self.credential):
                raise ValueError("a TURN server needs username and credential (the JSON form)")
        return self


def words(value: object) -> object:
    """``a, b`` → ``["a", "b"]``; lists pass."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def _ice_servers(value: object) -> object:
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            parsed = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"broken JSON at character {error.pos + 1}") from error
        return cast(object, [parsed] if isinstance(parsed, dict) else parsed)
    return words(value)


def _level(value: object) -> object:
    if isinstance(value, str) and value.upper() in get_args(LogLevel):
        return value.upper()
    return value


def _format(value: object) -> object:
    if isinstance(value, str) and value.lower() in get_args(LogFormat):
        return value.lower()
    return value


def _engine_names(value: object) -> object:
    names = words(value)
    if names == []:
        raise ValueError
    return names


def _url(value: str, schemes: tuple[str, ...]) -> str:
    if not value.startswith(tuple(f"{scheme}://" for scheme in schemes)) or value.endswith("//"):
        raise ValueError
    return value


def _http_url(value: object) -> object:
    return _url(value, ("http", "https")) if isinstance(value, str) else value


def _socket_url(value: object) -> object:
    return _url(value, ("ws", "wss")) if isinstance(value, str) else value


def _tcp_url(value: object) -> object:
    return _url(value, ("tcp",)) if isinstance(value, str) else value


def _any_url(value: object) -> object:
    return _url(value, ("http", "https", "ws", "wss")) if isinstance(value, str) else value


def _matching(pattern: re.Pattern[str], value: object) -> object:
    if isinstance(value, str) and not pattern.fullmatch(value):
        raise ValueError
    return value


def _language(value: object) -> object:
    return _matching(_LANGUAGE, value)


def _name(value: object) -> object:
    return _matching(_NAME, value)


def _aliases(value: object) -> object:
    """``a=b, c=d`` → ``{"a": "b", "c": "d"}``."""
    if not isinstance(value, str):
        return value
    found: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in value.split(","))):
        name, equals, model = (part.strip() for part in pair.partition("="))
        if not (name and equals and model):
            raise ValueError
        found[name] = model
    return found


def _expanded(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str) else value


Level = Annotated[LogLevel, BeforeValidator(_level)]
Format = Annotated[LogFormat, BeforeValidator(_format)]
Language = Annotated[str, BeforeValidator(_language)]
Name = Annotated[str, BeforeValidator(_name)]
HttpUrl = Annotated[str, BeforeValidator(_http_url)]
SocketUrl = Annotated[str, BeforeValidator(_socket_url)]
TcpUrl = Annotated[str, BeforeValidator(_tcp_url)]
AnyUrl = Annotated[str, BeforeValidator(_any_url)]
Folder = Annotated[Path, BeforeValidator(_expanded)]
EngineNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_engine_names)]
Listeners = Annotated[tuple[Listener, ...], NoDecode, BeforeValidator(words)]
ModelAliases = Annotated[dict[str, str], NoDecode, BeforeValidator(_aliases)]
IceServers = Annotated[tuple[IceServer, ...], NoDecode, BeforeValidator(_ice_servers)]


def usable_cores() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus() -> tuple[str, ...] | None:
    """The GPUs that CUDA_VISIBLE_DEVICES lists, by number or UUID; None where all may be used."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if listed is None else tuple(part.strip() for part in listed.split(","))


def data_folder() -> Path:
    """The user's data folder for Parley, by the XDG rules."""
    root = os.environ.get("XDG_DATA_HOME", "")
    if root.startswith("/"):
        return Path(root) / "parley"
    try:
        return Path.home() / ".local" / "share" / "parley"
    except RuntimeError as error:
        raise BadSettings(
            "There is no home folder to keep data in.",
            hint="Set PARLEY_DATA_DIR to a folder that Parley may write to.",
        ) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``; an unknown name counts as reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
