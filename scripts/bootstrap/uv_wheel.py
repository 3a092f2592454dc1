"""Brings the uv that uv.lock names into the checkout with nothing but the standard library.

A bare Debian Python has neither pip nor venv, so uv's wheel is fetched and unpacked here. Version
and sha256 come from uv.lock: the network is not trusted with them.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bootstrap.package_index import (
    IndexFile,
    IndexSettings,
    Network,
    has_certificates,
    offered_files,
    pick_file,
)
from bootstrap.progress import Progress, SetupFailed


@dataclass(frozen=True)
class Machine:
    """What a wheel must fit. ``glibc`` is None where another C library rules (musl)."""

    system: str
    processor: str
    glibc: tuple[int, int] | None = None


@dataclass(frozen=True)
class LockedPackage:
    """A package as uv.lock holds it."""

    name: str
    version: str
    wheels: tuple[IndexFile, ...]


def this_machine() -> Machine:
    """Describe the machine we run on."""
    system = platform.system().lower()
    glibc = None
    if system == "linux":
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        numbers = re.findall(r"\d+", version)
        if name == "glibc" and len(numbers) >= 2:
            glibc = (int(numbers[0]), int(numbers[1]))
    return Machine(system, platform.machine().lower(), glibc)


def locked_package(lock: Path, name: str) -> LockedPackage:
    """Read one package from uv.lock."""
    for package in cast(list[dict[str, Any]], tomllib.loads(lock.read_text())["package"]):
        if package["name"] == name:
            wheels = tuple(
                IndexFile(
                    wheel["url"].rpartition("/")[2],
                    wheel["url"],
                    wheel["hash"].removeprefix("sha256:"),
                )
                for wheel in package.get("wheels", [])
            )
            return LockedPackage(name, package["version"], wheels)
    raise SetupFailed(f"{lock} doesn't name {name}", "restore it: git checkout uv.lock")


def fitting_wheels(wheels: Sequence[IndexFile], machine: Machine) -> list[IndexFile]:
    """Return the wheels that run here; musl's come last, being static they run anywhere."""
    best = [wheel for wheel in wheels if _fits(wheel.name, machine)]
    static = [
        wheel
        for wheel in wheels
        if machine.system == "linux"
        and wheel not in best
        and re.search(rf"musllinux_\d+_\d+_{machine.processor}\b", wheel.name)
    ]
    return best + static


def _fits(name: str, machine: Machine) -> bool:
    if machine.system == "darwin":
        return bool(re.search(rf"macosx_\d+_\d+_({machine.processor}|universal2)\b", name))
    if machine.system != "linux" or machine.glibc is None:
        return False
    tags = re.findall(rf"manylinux_(\d+)_(\d+)_{machine.processor}(?=[.]|$)", name)
    return any((int(major), int(minor)) <= machine.glibc for major, minor in tags)


def uv_path(cache: Path, version: str) -> Path:
    """Say where a uv of this version is, or will be."""
    return cache / f"uv-{version}" / "uv"


def bring_uv(cache: Path, lock: Path, settings: IndexSettings, progress: Progress) -> Path:
    """Return the path of uv, fetched if it isn't there yet."""
    package = locked_package(lock, "uv")
    target = uv_path(cache, package.version)
    if target.exists():
        return target
    machine = this_machine()
    wheels = fitting_wheels(package.wheels, machine)
    if not wheels:
        raise SetupFailed(
            f"uv {package.version} has no wheel for {machine.system} on {machine.processor}",
            "run Parley on Linux (x86_64, aarch64) or macOS, or in a container",
        )
    # A minimal Debian has no CA certificates. What uv.lock pins by sha256 needs no trusted wire.
    verify = bool(settings.ca) or has_certificates() or not settings.is_pypi
    if not verify:
        progress.say("this machine has no CA certificates; uv.lock's sha256 vouches for uv")
    with progress.step(f"fetching uv {package.version}"):
        _unpack(_download(wheels, settings, Network(settings, verify=verify)), target)
    return target


def _download(wheels: Sequence[IndexFile], settings: IndexSettings, network: Network) -> bytes:
    locked, source = wheels[0], wheels[0]
    if not settings.is_pypi:
        offered = pick_file(
            offered_files(network, settings.url, "uv"), [wheel.name for wheel in wheels]
        )
        if offered is None:
            raise SetupFailed(
                f"the package index has no {wheels[0].name}",
                "let it mirror that file from PyPI, or unset UV_DEFAULT_INDEX and PIP_INDEX_URL",
            )
        source = offered
        locked = next(wheel for wheel in wheels if wheel.name == offered.name)
    body, _, _ = network.get(source.url)
    check_sha256(body, locked, source)
    return body


def check_sha256(body: bytes, locked: IndexFile, source: IndexFile) -> None:
    """Refuse a file that isn't what uv.lock, and the index that offers it, say it is."""
    found = hashlib.sha256(body).hexdigest()
    for sayer, wanted in (("uv.lock", locked.sha256), ("the package index", source.sha256)):
        if wanted and found != wanted:
            raise SetupFailed(
                f"{locked.name} has sha256 {found}, but {sayer} says {wanted}",
                "start again; if it stays so, don't trust that index or proxy",
            )


def _unpack(wheel: bytes, target: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        member = next(n for n in archive.namelist() if n.endswith(".data/scripts/uv"))
        content = archive.read(member)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Under its final name only when whole, so that an interrupted set-up can simply start again.
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix="partial-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(partial).chmod(0o755)
    Path(partial).replace(target)
