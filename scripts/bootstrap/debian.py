"""What tests need from the operating system, and how Debian brings it without its daemons."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
_DENY_STARTS = "#!/bin/sh\n# What tests need, they start themselves.\nexit 101\n"


@dataclass(frozen=True)
class SystemPart:
    """Something that no Python package brings. ``is_here`` holds on any Linux, not only Debian."""

    package: str
    wanted_for: str
    is_here: Callable[[], bool]


def has_chromium() -> bool:
    """Whether a Chromium that tests can drive is on PATH."""
    return any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))


def has_redis() -> bool:
    """Whether a Redis server is on PATH."""
    return shutil.which("redis-server") is not None


def has_sipp() -> bool:
    """Whether the SIP tester is on PATH."""
    return shutil.which("sipp") is not None


def has_kamailio() -> bool:
    """Whether the SIP proxy is on PATH."""
    return shutil.which("kamailio") is not None


def has_baresip() -> bool:
    """Whether the telephone that tests call with is on PATH."""
    return shutil.which("baresip") is not None


def has_rtpengine() -> bool:
    """Whether the media relay is on PATH."""
    return shutil.which("rtpengine") is not None


def nginx() -> str:
    """Where the reverse proxy is: on PATH, or where Debian puts it; "" where there is none."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""


def has_nginx() -> bool:
    """Whether there is a reverse proxy."""
    return bool(nginx())


def has_caddy() -> bool:
    """Whether the other reverse proxy is on PATH."""
    return shutil.which("caddy") is not None


def has_systemd() -> bool:
    """Whether what checks a unit's file is on PATH."""
    return shutil.which("systemd-analyze") is not None


def has_postgres() -> bool:
    """Whether a PostgreSQL server's programs are here, on PATH or where Debian puts them."""
    return shutil.which("initdb") is not None or any(
        Path("/usr/lib/postgresql").glob("*/bin/initdb")
    )


PARTS = (
    SystemPart("chromium", "the tests in a real browser", has_chromium),
    SystemPart("redis-server", "the tests of limits that servers share", has_redis),
    SystemPart("postgresql", "the tests of the store in PostgreSQL", has_postgres),
    SystemPart("sip-tester", "calls by a telephone that isn't ours", has_sipp),
    SystemPart("kamailio", "calls through a SIP proxy", has_kamailio),
    SystemPart("rtpengine-daemon", "calls through a media relay", has_rtpengine),
    SystemPart("nginx", "calls through a reverse proxy", has_nginx),
    SystemPart("caddy", "calls through the other reverse proxy", has_caddy),
    SystemPart("systemd", "the check of the unit's file", has_systemd),
    SystemPart("baresip-core", "a conversation by a telephone that isn't ours", has_baresip),
)


def missing_parts(parts: Sequence[SystemPart] = PARTS) -> list[SystemPart]:
    """List what isn't on this machine."""
    return [part for part in parts if not part.is_here()]


def can_install() -> bool:
    """Whether we may install Debian packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(parts: Sequence[SystemPart], log: Path) -> bool:
    """Install packages quietly, the output into ``log``; say whether that worked."""
    packages = [part.package for part in parts]
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    with no_daemons_started():
        return _apt(["apt-get", "update", "--quiet"], log) and _apt(command, log)


def _apt(command: Sequence[str], log: Path) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with log.open("ab") as sink:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
        )
    return done.returncode == 0


@contextmanager
def no_daemons_started(policy: Path = POLICY) -> Generator[None]:
    """Let packages be installed without their services being started; then all is as before."""
    kept = policy.with_name(f"{policy.name}.before-parley")
    if policy.exists() and not kept.exists():
        policy.rename(kept)
    policy.write_text(_DENY_STARTS)
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)
        if kept.exists():
            kept.rename(policy)
