"""Every setting there is, in one frozen model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from parley.core.errors import BadSettings
from parley.settings.access import AccessSettings
from parley.settings.api import ApiSettings
from parley.settings.engines import EngineSettings
from parley.settings.file import FileSource
from parley.settings.house import HouseSettings
from parley.settings.local import LocalSettings
from parley.settings.rustpbx import RustPbxSettings
from parley.settings.telephone import TelephoneSettings
from parley.settings.tools import ToolSettings
from parley.settings.values import is_loopback


class Settings(
    HouseSettings,
    AccessSettings,
    ApiSettings,
    TelephoneSettings,
    RustPbxSettings,
    ToolSettings,
    EngineSettings,
    LocalSettings,
):
    """Every setting, read once at start-up by ``load_settings`` and then handed on.

    A field's name is its environment name in lower case without ``PARLEY_``; the flag and the
    key in the settings file are made from it.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        case_sensitive=True,
        env_ignore_empty=True,
        populate_by_name=True,
        env_file_encoding="utf-8",
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, FileSource(settings_cls)

    @property
    def agents_folder(self) -> Path:
        """The folder with the user's own agents; it need not exist."""
        return self.agents_dir or self.data_dir / "agents"

    def explicit(self) -> dict[str, Any]:
        """What was set rather than left to its default, by environment name; secrets in clear."""
        found: dict[str, Any] = {}
        for field in sorted(self.model_fields_set):
            value = getattr(self, field)
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            found[str(type(self).model_fields[field].validation_alias)] = plain
        return found

    @property
    def is_open(self) -> bool:
        """Whether the web listener serves callers without a key as long as none was made."""
        return is_loopback(self.server_host) or "web" in self.allow_anonymous

    def require_safe_listener(self, *, has_keys: bool = False) -> None:
        """Refuse to be reachable from other machines by accident."""
        if self.is_open or has_keys:
            return
        raise BadSettings(
            f"SERVER_HOST={self.server_host} would let anyone who can reach this machine talk to "
            "your agents.",
            hint="Make a key (parley keys create), keep 127.0.0.1, or set "
            "PARLEY_ALLOW_ANONYMOUS=web if that is what you want.",
        )

    @property
    def is_rustpbx_open(self) -> bool:
        """Whether the RustPBX listener serves callers without a key as long as none was made."""
        return is_loopback(self.rustpbx_host) or "rustpbx" in self.allow_anonymous

    def require_safe_rustpbx(self, *, has_keys: bool = False) -> None:
        """Refuse to let anyone on the network talk through the RustPBX listener by accident."""
        self.require_usable_rustpbx()
        if not self.opens_rustpbx or self.is_rustpbx_open or has_keys:
            return
        raise BadSettings(
            f"PIPECAT_SERVER_HOST={self.rustpbx_host} would let anyone who can reach this machine "
            "talk to your agents.",
            hint="Make a key (parley keys create) and put it into RustPBX's server_url as "
            "?token=KEY, keep 127.0.0.1, or set PARLEY_ALLOW_ANONYMOUS=rustpbx if that is what "
            "you want.",
        )

    def require_safe_telephone(self) -> None:
        """Refuse to let anyone on the network call by accident."""
        self.require_usable_sip()
        is_guarded = self.sip_peers or self.sip_accounts or self.sip_registrar
        if self.takes_bare_sound:
            self._require_safe_sound()
            return
        if is_guarded or is_loopback(self.sip_host) or "sip" in self.allow_anonymous:
            return
        raise BadSettings(
            f"PARLEY_SIP_HOST={self.sip_host} would let anyone who can reach this machine call "
            "your agents.",
            hint="List who may in PARLEY_SIP_PEERS, give callers passwords in PARLEY_SIP_USERS, "
            "keep 127.0.0.1, or set PARLEY_ALLOW_ANONYMOUS=sip if that is what you want.",
        )

    def _require_safe_sound(self) -> None:
        if self.sip_peers or is_loopback(self.rtp_host) or "sip" in self.allow_anonymous:
            return
        raise BadSettings(
            f"RTP_PORT={self.rtp_port} on {self.rtp_host} would let anyone who can reach this "
            "machine call your agents.",
            hint="List who may in PARLEY_SIP_PEERS, set RTP_BIND_IP=127.0.0.1, or set "
            "PARLEY_ALLOW_ANONYMOUS=sip if that is what you want.",
        )
