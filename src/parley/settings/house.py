"""The settings of the house itself: server, calls, agents, logs."""

from __future__ import annotations

from pydantic_settings import BaseSettings

from parley.settings.field import setting
from parley.settings.values import (
    Folder,
    Format,
    IceServers,
    Language,
    Level,
    Listeners,
    Name,
    data_folder,
)

# What one process holds on one core, and more cores don't help one event loop.
CALLS_PER_PROCESS = 8

_LANGUAGE = "a language tag such as en, en-GB or de, or auto"
_ICE = (
    "stun: and turn: URLs with commas between, or a JSON list of "
    '{"urls": …, "username": …, "credential": …}'
)


class HouseSettings(BaseSettings):
    """What the house needs to open its doors."""

    server_host: str = setting(
        "SERVER_HOST",
        "127.0.0.1",
        "The address that the web server listens on.",
        "server",
        allowed="an address or a host name",
    )
    server_port: int = setting(
        "SERVER_PORT",
        7860,
        "The port that the web server listens on; 0 takes any free one.",
        "server",
        ge=0,
        le=65535,
    )
    allow_anonymous: Listeners = setting(
        "PARLEY_ALLOW_ANONYMOUS",
        (),
        "Listeners that may be reached from other machines without a key.",
        "server",
        allowed="web, rustpbx, sip, or several with commas",
        shown="none",
        example="web",
    )
    data_dir: Folder = setting(
        "PARLEY_DATA_DIR",
        data_folder,
        "Where Parley keeps what it must keep.",
        "server",
        shown="`$XDG_DATA_HOME/parley`, else `~/.local/share/parley`",
        example="/var/lib/parley",
    )
    offline: bool = setting(
        "PARLEY_OFFLINE",
        False,
        "Never touch another network: no downloads, and no engine beyond this machine and its "
        "neighbours.",
        "server",
    )
    config: Folder | None = setting(
        "PARLEY_CONFIG",
        None,
        "A TOML file with settings.",
        "server",
        shown="none",
        example="parley.toml",
    )

    max_calls: int = setting(
        "PARLEY_MAX_CALLS",
        CALLS_PER_PROCESS,
        "How many calls may be live at once.",
        "calls",
        ge=1,
        example="16",
    )
    connect_timeout_s: float = setting(
        "PARLEY_CONNECT_TIMEOUT_S",
        15.0,
        "How long a new call may take until sound can flow.",
        "calls",
        gt=0,
        le=600,
    )
    reconnect_grace_s: float = setting(
        "PARLEY_RECONNECT_GRACE_S",
        15.0,
        "How long a call waits for a caller whose network was lost.",
        "calls",
        ge=0,
        le=600,
    )
    drain_s: float = setting(
        "PARLEY_DRAIN_S",
        30.0,
        "How long live calls may go on once the server is told to stop.",
        "calls",
        ge=0,
        le=86_400,
    )
    ice_servers: IceServers = setting(
        "PARLEY_ICE_SERVERS",
        (),
        "STUN and TURN servers for the server and the browser. An unreachable STUN server delays "
        "every answer by 5 s.",
        "calls",
        allowed=_ICE,
        shown="none",
        hides_value=True,
        example="stun:stun.example.org:3478",
    )
    opus: bool = setting(
        "PARLEY_OPUS",
        True,
        "Decode browser audio with our own Opus path, which conceals lost packets; off takes "
        "aiortc's.",
        "calls",
    )

    speech_cache_mb: int = setting(
        "PARLEY_SPEECH_CACHE_MB",
        32,
        "Memory for speech that has been spoken before: greetings, apologies, repeated replies. "
        "0 keeps none.",
        "engines",
        ge=0,
        le=65_536,
    )
    speech_cache_disk_mb: int = setting(
        "PARLEY_SPEECH_CACHE_DISK_MB",
        0,
        "Disk for such speech, in `speech` under `PARLEY_DATA_DIR`, so that it outlives a "
        "restart. 0 keeps none.",
        "engines",
        ge=0,
        le=1_048_576,
    )

    agent: Name = setting(
        "PARLEY_AGENT",
        "receptionist",
        "The agent that answers when a call names none.",
        "agents",
        allowed="the name of an agent",
    )
    agents_dir: Folder | None = setting(
        "PARLEY_AGENTS_DIR",
        None,
        "The folder with your agents.",
        "agents",
        shown="`agents` in `PARLEY_DATA_DIR`",
        example="/etc/parley/agents",
    )
    system_instruction: str = setting(
        "SYSTEM_INSTRUCTION",
        "",
        "Replaces the instructions of the default agent, and only its.",
        "agents",
        shown="the agent's own",
        example="You are a helpful voice assistant.",
    )
    stt_language: Language = setting(
        "STT_LANGUAGE",
        "en",
        "The language of agents that name none.",
        "agents",
        allowed=_LANGUAGE,
    )

    log_level: Level = setting("LOG_LEVEL", "INFO", "The least level that is logged.", "logs")
    log_format: Format = setting(
        "PARLEY_LOG_FORMAT",
        "console",
        "How log lines look.",
        "logs",
    )
    log_file: Folder | None = setting(
        "PARLEY_LOG_FILE",
        None,
        "A file that gets the log, too. At 10 MiB another is begun; three old ones are kept.",
        "logs",
        shown="none",
        example="pipecat_server.log",
    )
