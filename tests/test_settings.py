"""Settings: what beats what, what is refused, and that every name reaches its field."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr

from parley.core.errors import BadSettings
from parley.settings import IceServer, Settings, engine_values, load_settings, setting_facts
from parley.settings.rustpbx import ANYBODYS

NOWHERE = Path("/nowhere/.env")


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    with patch.dict(os.environ, values, clear=True):
        yield


def load(values: Mapping[str, str] | None = None, **flags: str) -> Settings:
    with environment(values or {}):
        return load_settings(flags, env_file=NOWHERE)


@cache
def untouched() -> Settings:
    """With nothing set. They are frozen, so that once is enough."""
    return load()


def complaint(values: Mapping[str, str]) -> str:
    with pytest.raises(BadSettings) as caught:
        load(values)
    return str(caught.value)


# ── property 9 ───────────────────────────────────────────────────────────────────────────────

# What a process's environment can hold; an empty value counts as not set.
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40
)
WORD = st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True)
PORT = st.integers(1, 65535)
PATH = WORD.map(lambda name: f"/srv/{name}")
SECONDS = st.integers(1, 600)
LIMIT = st.integers(0, 1_000_000)


def url(*schemes: str) -> st.SearchStrategy[str]:
    return st.builds("{}://{}:{}".format, st.sampled_from(schemes), WORD, PORT)


def names(*choices: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(choices), min_size=1, max_size=3, unique=True).map(",".join)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "SERVER_HOST": WORD,
    "SERVER_PORT": PORT,
    "PARLEY_ALLOW_ANONYMOUS": names("web", "rustpbx", "sip"),
    "PARLEY_DATA_DIR": PATH,
    "PARLEY_CONFIG": st.nothing(),
    "PARLEY_OFFLINE": st.booleans(),
    "PARLEY_MAX_UPLOAD_MB": st.integers(1, 4096),
    "PARLEY_MAX_AUDIO_MINUTES": SECONDS,
    "PARLEY_STALL_S": SECONDS,
    "PARLEY_MAX_CALLS": st.integers(1, 10_000),
    "PARLEY_CONNECT_TIMEOUT_S": SECONDS,
    "PARLEY_RECONNECT_GRACE_S": SECONDS,
    "PARLEY_DRAIN_S": SECONDS,
    "PARLEY_ICE_SERVERS": st.lists(WORD, min_size=1, max_size=3).map(
        lambda hosts: ",".join(f"stun:{host}" for host in hosts)
    ),
    "PARLEY_OPUS": st.booleans(),
    "PARLEY_SIP": st.booleans(),
    "PARLEY_KEY": WORD,
    "PARLEY_SIP_HOST": WORD,
    "PARLEY_SIP_PORT": PORT,
    "PARLEY_SIP_PUBLIC_HOST": WORD,
    "RTP_PORT": st.integers(1, 65534),
    "RTP_BIND_IP": WORD,
    "PARLEY_RTP_SILENCE_S": SECONDS,
    "RTP_IP": WORD,
    "RTP_MIN_PORT": PORT,
    "RTP_MAX_PORT": PORT,
    "MI_IP": WORD,
    "MI_PORT": PORT,
    "EVENT_IP": WORD,
    "EVENT_PORT": PORT,
    "PARLEY_SIP_PEERS": st.sampled_from(["10.0.0.5/32", "10.0.0.0/8,fd00::/8"]),
    "PARLEY_SIP_USERS": st.builds("{}={}".format, WORD, WORD),
    "PARLEY_SIP_AGENTS": st.sampled_from(["200=desk", "+4930* from:+49171*=sales,*=acme:desk"]),
    "PARLEY_SIP_REALM": TEXT,
    "PARLEY_SIP_CALLS_PER_S": st.floats(0, 1000),
    "PARLEY_SIP_TLS_CERT": PATH,
    "PARLEY_SIP_TLS_KEY": PATH,
    "PARLEY_SIP_TLS_CA": PATH,
    "PARLEY_SIP_TLS_PORT": PORT,
    "PARLEY_SIP_DIGEST": st.sampled_from(["md5", "sha256", "both"]),
    "PARLEY_SIP_SRTP": st.sampled_from(["off", "allowed", "required"]),
    "PARLEY_SIP_PROXY": WORD.map("sip:{}".format),
    "PARLEY_SIP_REGISTRAR": WORD.map("sip:{}".format),
    "PARLEY_SIP_USERNAME": TEXT,
    "PARLEY_SIP_PASSWORD": TEXT,
    "PARLEY_SIP_REGISTER_S": st.integers(30, 86_400),
    "PARLEY_SPEECH_CACHE_MB": st.integers(0, 65_536),
    "PARLEY_SPEECH_CACHE_DISK_MB": st.integers(0, 1_048_576),
    "PARLEY_AGENT": WORD,
    "PARLEY_AGENTS_DIR": PATH,
    "SYSTEM_INSTRUCTION": TEXT,
    "STT_LANGUAGE": st.sampled_from(["en", "de", "en-GB", "zh-Hant-TW", "auto"]),
    "LOG_LEVEL": st.sampled_from(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
    "PARLEY_LOG_FORMAT": st.sampled_from(["console", "json"]),
    "PARLEY_LOG_FILE": PATH,
    "PARLEY_RUSTPBX": st.booleans(),
    "PIPECAT_SERVER_HOST": WORD,
    "PIPECAT_SERVER_PORT": PORT,
    "SAMPLE_RATE": st.integers(1, 48_000),
    "CHANNELS": st.integers(1, 8),
    "CALL_TIMEOUT": st.integers(0, 86_400),
    "MAX_CONCURRENT_CALLS": LIMIT,
    "FRAME_SIZE": st.integers(1, 10_000),
    "PARLEY_STT": names("auto", "builtin", "vosk"),
    "PARLEY_LLM": names("auto", "scripted", "ollama"),
    "PARLEY_TTS": names("auto", "builtin", "piper"),
    "PARLEY_STT_WORKERS": st.integers(1, 64),
    "PARLEY_SCRIPT": PATH,
    "PARLEY_TOOL_HOSTS": names("crm.example.org", "localhost:9000", "*.example.org", "*"),
    "PARLEY_TOOL_SECRET": TEXT,
    "PARLEY_PUBLIC_URL": url("http", "https"),
    "N8N_BASE_URL": url("http", "https"),
    "N8N_API_KEY": TEXT,
    "SPEACHES_BASE_URL": url("http", "https"),
    "PARLEY_SPEACHES_API_KEY": TEXT,
    "OLLAMA_BASE_URL": url("http", "https"),
    "VOSK_WS_URL": url("ws", "wss"),
    "PIPER_WS_URL": url("ws", "wss", "http", "https"),
    "PARLEY_WYOMING_STT_URI": url("tcp"),
    "PARLEY_WYOMING_TTS_URI": url("tcp"),
    "LLAMA_URL": url("http", "https", "ws", "wss"),
    "DEEPGRAM_API_KEY": TEXT,
    "DEEPGRAM_BASE_URL": url("http", "https"),
    "OPENAI_API_KEY": TEXT,
    "OPENAI_BASE_URL": url("http", "https"),
    "PARLEY_ORPHEUS_BASE_URL": url("http", "https"),
    "PARLEY_ORPHEUS_BACKEND": st.sampled_from(["vllm", "llama_cpp", "ollama", "text"]),
    "PARLEY_ORPHEUS_API_KEY": TEXT,
    "PARLEY_ORPHEUS_LANGUAGES": names("en", "es", "it"),
    "PARLEY_ORPHEUS_TOKENIZER": PATH,
    "PARLEY_ORPHEUS_SNAC": PATH,
    "PARLEY_DEVICE": st.sampled_from(["auto", "cpu", "cuda"]),
    "STT_MODEL": TEXT,
    "LLM_MODEL": TEXT,
    "TTS_MODEL": TEXT,
    "TTS_VOICE": TEXT,
    "OLLAMA_MODEL": TEXT,
    "LLM_MAX_TOKENS": st.integers(1, 100_000),
    "LLM_TEMPERATURE": st.floats(0, 2),
    "PARLEY_HISTORY_DAYS": st.integers(0, 36_500),
    "PARLEY_DATABASE_URL": st.one_of(PATH.map("sqlite://{}".format), url("postgresql")),
    "PARLEY_REDIS_URL": url("redis", "rediss"),
    "PARLEY_CORS_ORIGINS": st.sampled_from(["*", "https://a.example,http://b:81"]),
    "PARLEY_MODEL_ALIASES": st.builds("{}={}".format, WORD, WORD),
    "PARLEY_RATE_REQUESTS": LIMIT,
    "PARLEY_RATE_AUDIO_S": LIMIT,
    "PARLEY_RATE_TOKENS": LIMIT,
    "PARLEY_RATE_OFFERS": LIMIT,
    "PARLEY_TENANT_CALLS": LIMIT,
    "PARLEY_QUOTA_MINUTES_DAY": LIMIT,
    "PARLEY_QUOTA_MINUTES_MONTH": LIMIT,
    "PARLEY_QUOTA_TOKENS_DAY": LIMIT,
    "PARLEY_QUOTA_TOKENS_MONTH": LIMIT,
    "PARLEY_QUOTA_CHARACTERS_DAY": LIMIT,
    "PARLEY_QUOTA_CHARACTERS_MONTH": LIMIT,
}


def as_typed(value: Any) -> Any:
    """A field's value as somebody would have typed it; numbers and booleans as they are."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return ",".join(f"{name}={model}" for name, model in value.items())
    if isinstance(value, tuple):
        return ",".join(
            item.urls[0] if isinstance(item, IceServer) else str(item) for item in value
        )
    return str(value)


# Feature: pipecat-voice-agent, Property 9: Environment Variable Configuration
@examples(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {}, optional={name: v for name, v in VALUES.items() if name != "PARLEY_CONFIG"}
    )
)
def test_what_is_set_reaches_its_setting_and_what_is_not_keeps_its_default(
    given_values: dict[str, Any],
) -> None:
    defaults = untouched()

    loaded = load({name: str(value) for name, value in given_values.items()})

    passed_over = () if loaded.opens_rustpbx else ANYBODYS
    for fact in setting_facts():
        found = getattr(loaded, fact.field)
        if fact.name in given_values and fact.name not in passed_over:
            assert as_typed(found) == given_values[fact.name]
        else:
            assert found == getattr(defaults, fact.field)


def test_the_property_covers_every_setting() -> None:
    assert set(VALUES) == {fact.name for fact in setting_facts()}


# ── defaults and precedence ──────────────────────────────────────────────────────────────────


def test_a_field_is_named_after_its_environment_name() -> None:
    facts = setting_facts()

    assert [fact.field for fact in facts] == [
        fact.name.removeprefix("PARLEY_").lower() for fact in facts
    ]


def test_the_documented_defaults_hold() -> None:
    settings = load()

    assert (settings.server_host, settings.server_port) == ("127.0.0.1", 7860)
    assert settings.agent == "receptionist"
    assert settings.ice_servers == ()
    assert settings.stt == settings.llm == settings.tts == ("auto",)
    assert settings.explicit() == {}


def test_data_is_kept_where_the_user_keeps_data() -> None:
    assert load({"XDG_DATA_HOME": "/data"}).data_dir == Path("/data/parley")
    assert load({"HOME": "/home/ada"}).data_dir == Path("/home/ada/.local/share/parley")
    assert load({"HOME": "/home/ada"}).agents_folder == Path("/home/ada/.local/share/parley/agents")


def test_flag_beats_environment_beats_dotenv_beats_file_beats_default(tmp_path: Path) -> None:
    env_file, config = tmp_path / ".env", tmp_path / "parley.toml"
    config.write_text("max_calls = 1\ndrain_s = 1\nconnect_timeout_s = 1\nagent = 'filed'\n")
    env_file.write_text(
        f"PARLEY_CONFIG={config}\nPARLEY_MAX_CALLS=2\nPARLEY_DRAIN_S=2\n"
        "PARLEY_CONNECT_TIMEOUT_S=2\n"
    )

    with environment({"PARLEY_MAX_CALLS": "3", "PARLEY_DRAIN_S": "3"}):
        settings = load_settings({"max_calls": "4"}, env_file=env_file)

    assert settings.max_calls == 4
    assert settings.drain_s == 3
    assert settings.connect_timeout_s == 2
    assert settings.agent == "filed"
    assert settings.reconnect_grace_s == 15


def test_an_empty_value_counts_as_not_set() -> None:
    assert load({"SERVER_PORT": "", "TTS_VOICE": ""}).explicit() == {}


def test_ice_servers_come_as_urls_or_as_json() -> None:
    plain = load({"PARLEY_ICE_SERVERS": "stun:a.example, stun:b.example:3478"})
    full = load(
        {
            "PARLEY_ICE_SERVERS": '[{"urls": ["turn:a.example"], "username": "u", '
            '"credential": "c"}, "stun:b.example"]'
        }
    )

    assert [server.urls for server in plain.ice_servers] == [
        ("stun:a.example",),
        ("stun:b.example:3478",),
    ]
    assert full.ice_servers[0].username == "u"
    assert full.ice_servers[0].credential.get_secret_value() == "c"
    assert full.ice_servers[1].urls == ("stun:b.example",)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("SERVER_PORT", "70000", "a whole number from 0 to 65535"),
        ("SERVER_PORT", "web", "a whole number from 0 to 65535"),
        ("PARLEY_CONNECT_TIMEOUT_S", "0", "a number above 0, at most 600"),
        ("PARLEY_LOG_FORMAT", "xml", "one of console, json"),
        ("LOG_LEVEL", "loud", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("OLLAMA_BASE_URL", "ollama:11434", "a URL that starts with http:// or https://"),
        ("VOSK_WS_URL", "http://vosk", "a URL that starts with ws:// or wss://"),
        ("PARLEY_OPUS", "maybe", "on or off"),
        ("STT_LANGUAGE", "Klingon!", "a language tag"),
    ],
)
def test_a_bad_value_is_one_line_with_name_value_and_what_is_allowed(
    name: str, value: str, allowed: str
) -> None:
    said = complaint({name: value})

    assert said.startswith(f"{name}={value} is not allowed")
    assert allowed in said
    assert "\n" not in said


def test_each_bad_value_has_its_own_line() -> None:
    said = complaint({"SERVER_PORT": "x", "PARLEY_MAX_CALLS": "0"})

    assert [line.split("=")[0] for line in said.splitlines()] == ["SERVER_PORT", "PARLEY_MAX_CALLS"]


def test_a_bad_listener_names_the_one_word_that_is_wrong() -> None:
    assert complaint({"PARLEY_ALLOW_ANONYMOUS": "web,ftp"}).startswith("PARLEY_ALLOW_ANONYMOUS=ftp")


def test_sites_are_kept_as_browsers_write_them() -> None:
    sites = "HTTPS://Shop.Example:443/, http://localhost:3000,tauri://localhost, http://[::1]:80"

    assert load({"PARLEY_CORS_ORIGINS": sites}).cors_origins == (
        "https://shop.example",
        "http://localhost:3000",
        "tauri://localhost",
        "http://[::1]",
    )


@pytest.mark.parametrize("site", ["shop.example", "https://a/path", "null", "*,https://a", "a://"])
def test_what_is_no_site_is_refused(site: str) -> None:
    said = complaint({"PARLEY_CORS_ORIGINS": site})

    assert said.startswith(f"PARLEY_CORS_ORIGINS={site} is not allowed")
    assert "\n" not in said


def test_what_hides_its_value_hides_it_in_errors_too() -> None:
    said = complaint({"PARLEY_ICE_SERVERS": '[{"urls": "turn:a", "credential": "hunter2"}]'})

    assert "hunter2" not in said
    assert "a TURN server needs username and credential" in said


def test_secrets_are_in_no_text_made_of_the_settings() -> None:
    settings = load({"OPENAI_API_KEY": "sk-hunter2", "DEEPGRAM_API_KEY": "hunter2"})

    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("PARLEY_MAX_CALL", "PARLEY_MAX_CALLS"),
        ("PARLEY_AGENT_DIR", "PARLEY_AGENTS_DIR"),
        ("parley_max_calls", "PARLEY_MAX_CALLS"),
    ],
)
def test_a_misspelt_name_stops_the_start_with_the_nearest_right_one(wrong: str, right: str) -> None:
    assert complaint({wrong: "1"}) == (
        f"{wrong} in the environment is not a setting. Did you mean {right}?"
    )


def test_a_misspelt_name_in_dotenv_names_that_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PARLEY_AGNET=x\n")

    with environment({}), pytest.raises(BadSettings, match=r"\.env is not a setting.*PARLEY_AGENT"):
        load_settings(env_file=env_file)


def test_a_line_that_dotenv_cannot_read_is_named(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("SERVER_PORT=1\nthis is no = line 'x\nLOG_LEVEL=INFO\n")

    with environment({}), pytest.raises(BadSettings, match=r"\.env:2: "):
        load_settings(env_file=env_file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("max_cals = 4\n", "Did you mean max_calls?"),
        ("max_calls 4\n", "is not TOML"),
        ("config = 'other.toml'\n", "config is not a setting"),
    ],
)
def test_a_wrong_settings_file_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    config = tmp_path / "parley.toml"
    config.write_text(content)

    assert said in complaint({"PARLEY_CONFIG": str(config)})


def test_a_missing_settings_file_stops_the_start() -> None:
    assert "can't be read" in complaint({"PARLEY_CONFIG": "/nowhere/parley.toml"})


# ── what engines are handed ──────────────────────────────────────────────────────────────────


def test_engines_are_handed_what_was_set_and_nothing_else(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("ACME_VOICE=emma\n")

    with environment({"OPENAI_API_KEY": "sk-1", "ACME_KEY": "k", "HOME": "/home/ada"}):
        settings = load_settings(env_file=env_file)
        handed = engine_values(
            settings,
            ["OPENAI_API_KEY", "OLLAMA_MODEL", "ACME_KEY", "ACME_VOICE"],
            env_file=env_file,
        )

    assert handed == {"OPENAI_API_KEY": "sk-1", "ACME_KEY": "k", "ACME_VOICE": "emma"}
