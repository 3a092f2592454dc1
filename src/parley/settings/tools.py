"""The settings of tools: where they may be, how we sign, and where their answers come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, cast

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import BaseSettings, NoDecode

from parley.settings.field import setting
from parley.settings.values import HttpUrl, words

_HOST = re.compile(
    r"\*|((\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?"
)
_HTTP = "a URL that starts with http:// or https://"


def _hosts(value: object) -> object:
    names = words(value)
    listed = cast("Sequence[object]", names) if isinstance(names, list | tuple) else ()
    if not all(_HOST.fullmatch(str(name)) for name in listed):
        raise ValueError
    return cast(object, names)


Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts)]


class ToolSettings(BaseSettings):
    """What holds for tools that live outside: webhooks, n8n."""

    tool_hosts: Hosts = setting(
        "PARLEY_TOOL_HOSTS",
        (),
        "The hosts that tools and webhooks may reach; private addresses are reached only where "
        "they are listed.",
        "tools",
        allowed="hosts with commas: `crm.example.org`, `localhost:5678`, `*.example.org`, `*` "
        "for every public one",
        shown="every public host, and `N8N_BASE_URL`",
        example="crm.example.org,localhost:9000",
    )
    tool_secret: SecretStr | None = setting(
        "PARLEY_TOOL_SECRET",
        None,
        "What requests to tools of the house's agents are signed with.",
        "tools",
        shown="the secret of the tenant `default`",
        example="a_long_random_word",
    )
    public_url: HttpUrl | None = setting(
        "PARLEY_PUBLIC_URL",
        None,
        "Where tools reach this server, for answers that come later.",
        "tools",
        allowed=_HTTP,
        shown="none; tools answer at once",
        example="https://voice.example.org",
    )
    n8n_base_url: HttpUrl | None = setting(
        "N8N_BASE_URL",
        None,
        "Where n8n is; tools may reach it, also at a private address.",
        "tools",
        allowed=_HTTP,
        shown="none",
        example="http://localhost:5678",
    )
    n8n_api_key: SecretStr | None = setting(
        "N8N_API_KEY",
        None,
        "A key of n8n's API with the scopes workflow:list and workflow:read: with it, agents can "
        "use workflows as tools.",
        "tools",
        shown="none; no workflows are looked for",
        example="n8n_api_0123456789",
    )
