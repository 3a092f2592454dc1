"""The settings of OpenSIPS: where its management interface is, and where its events come to."""

from __future__ import annotations

from pydantic_settings import BaseSettings

from parley.settings.field import setting


class OpenSipsSettings(BaseSettings):
    """Names that the official connector has as well."""

    mi_ip: str = setting(
        "MI_IP",
        "",
        "Where OpenSIPS's management interface (mi_datagram over UDP) is; with it, OpenSIPS hands "
        "its calls to agents.",
        "telephone",
        allowed="an address or a host name",
        shown="none; OpenSIPS is not asked for calls",
        example="127.0.0.1",
    )
    mi_port: int = setting(
        "MI_PORT",
        8080,
        "The UDP port of OpenSIPS's management interface.",
        "telephone",
        ge=1,
        le=65535,
    )
    event_ip: str = setting(
        "EVENT_IP",
        "",
        "The address of this machine that OpenSIPS sends its events to.",
        "telephone",
        allowed="an address",
        shown="the one that this machine has towards MI_IP",
        example="127.0.0.1",
    )
    event_port: int = setting(
        "EVENT_PORT",
        0,
        "The UDP port that OpenSIPS sends its events to; 0 takes any free one.",
        "telephone",
        ge=0,
        le=65535,
    )
