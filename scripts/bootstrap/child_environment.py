"""The environment for uv and npm: this machine's network settings, none that bend what they do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bootstrap.package_index import IndexSettings, has_certificates

# Where to fetch from and where to cache. Others (UV_NO_DEV, UV_PROJECT, UV_PYTHON …) would make
# uv prepare something else than the scripts expect.
_KEPT = (
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_HTTP_",
    "UV_REQUEST_",
    "UV_SYSTEM_CERTS",
    "UV_NATIVE_TLS",
    "UV_OFFLINE",
    "UV_CACHE_DIR",
    "UV_NO_CACHE",
    "UV_LINK_MODE",
    "UV_CONCURRENT_",
    "UV_CONFIG_FILE",
    "UV_NO_CONFIG",
)
_DROPPED = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME")


def child_environment(
    environment: Mapping[str, str], settings: IndexSettings, home: Path, cache: Path
) -> dict[str, str]:
    """What uv and npm get; ``cache`` is used where the home folder can't be written."""
    child = {name: value for name, value in environment.items() if _is_kept(name)}
    child["UV_PYTHON_DOWNLOADS"] = "never"
    child["UV_PROJECT_ENVIRONMENT"] = ".venv"
    child["UV_NO_PROGRESS"] = "1"
    child.setdefault("UV_HTTP_TIMEOUT", "120")
    if not settings.is_pypi:
        child["UV_DEFAULT_INDEX"] = settings.url
    if settings.proxy:
        child.setdefault("HTTPS_PROXY", settings.proxy)
        child.setdefault("HTTP_PROXY", settings.proxy)
    for name, value in _certificates(settings).items():
        child.setdefault(name, value)
    if not _can_write(Path(child.get("XDG_CACHE_HOME") or home / ".cache")):
        child.setdefault("UV_CACHE_DIR", str(cache / "uv-cache"))
    if not _can_write(home / ".npm"):
        child.setdefault("npm_config_cache", str(cache / "npm-cache"))
    return child


def _is_kept(name: str) -> bool:
    return name not in _DROPPED and (not name.startswith("UV_") or name.startswith(_KEPT))


def _certificates(settings: IndexSettings) -> dict[str, str]:
    """uv and node bring certificates of their own; a company's are only in the system's store."""
    if settings.ca and Path(settings.ca).is_dir():
        return {"SSL_CERT_DIR": settings.ca, "NODE_USE_SYSTEM_CA": "1"}
    if settings.ca:
        return {"SSL_CERT_FILE": settings.ca, "NODE_EXTRA_CA_CERTS": settings.ca}
    if has_certificates():
        return {"UV_SYSTEM_CERTS": "1", "NODE_USE_SYSTEM_CA": "1"}
    return {}


def _can_write(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
