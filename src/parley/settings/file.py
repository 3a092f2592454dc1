"""The settings file: TOML, named by PARLEY_CONFIG, keys as in the reference."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from parley.core.errors import BadSettings
from parley.core.registry import did_you_mean


class FileSource(PydanticBaseSettingsSource):
    """Reads the file that a flag, the environment or ``.env`` named, if any did."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        path = self.current_state.get("PARLEY_CONFIG")
        if not path:
            return {}
        return self._by_environment_name(Path(path).expanduser())

    def _by_environment_name(self, path: Path) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        found: dict[str, Any] = {}
        for key, value in read_toml(path).items():
            if key not in fields or key == "config":
                hint = did_you_mean(key, set(fields) - {"config"})
                raise BadSettings(f"{path}: {key} is not a setting.", hint=hint)
            found[str(fields[key].validation_alias)] = value
        return found


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(
            f"PARLEY_CONFIG={path} can't be read ({error.strerror}).",
            hint="Name a TOML file that exists, or unset it.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(
            f"{path} is not TOML: {error}.", hint="Write lines like max_calls = 4."
        ) from error
