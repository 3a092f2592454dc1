"""The steps that prepare a checkout: uv, .venv, the page. Each is skipped when it is done."""

from __future__ import annotations

import shutil
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bootstrap.checkout import Checkout, Needs
from bootstrap.child_environment import child_environment
from bootstrap.package_index import read_index_settings
from bootstrap.progress import Progress, SetupFailed, run_logged
from bootstrap.uv_wheel import bring_uv, locked_package


class SetUp:
    """Prepares one checkout with the Python that runs us."""

    def __init__(
        self, checkout: Checkout, environment: Mapping[str, str], home: Path, progress: Progress
    ) -> None:
        self._checkout = checkout
        self._progress = progress
        self._index = read_index_settings(environment, home)
        self._environment = child_environment(environment, self._index, home, checkout.cache)

    def prepare(self, needs: Needs) -> None:
        """Do what is missing; go on where an interrupted set-up stopped, wait for one at work."""
        with self._checkout.alone(self._progress):
            if self._checkout.is_prepared(needs):
                return
            started = time.monotonic()
            version = ".".join(map(str, sys.version_info[:3]))
            self._progress.say(f"preparing with Python {version}; later starts skip this")
            self._checkout.log.write_bytes(b"")
            flags = self._checkout.flags_for(needs)
            if not self._checkout.has_environment(flags):
                self._install(flags)
            if self._checkout.lacks_page(needs):
                self._build_page()
            self._progress.say(f"prepared in {time.monotonic() - started:.0f} s")

    def _install(self, wanted: frozenset[str]) -> None:
        checkout = self._checkout
        require_pocketsphinx(checkout.lock, self._progress)
        uv = bring_uv(checkout.cache, checkout.lock, self._index, self._progress)
        stamp = checkout.read_stamp()
        # What another script has installed stays: serve doesn't undo what test prepared.
        known = checkout.known_flags("extra") | checkout.known_flags("group")
        flags = wanted | (stamp.flags & known)
        checkout.write_stamp(replace(stamp, environment=""))
        self._make_venv(uv)
        extras = sorted(flag.partition("=")[2] for flag in flags)
        what = f"installing Parley [{', '.join(extras)}]"
        if self._index.is_pypi:
            self._run(what, uv, "sync", "--frozen", *sorted(flags))
        else:
            self._install_from_mirror(what, uv, flags)
        digest = checkout.environment_digest()
        checkout.write_stamp(replace(stamp, environment=digest, flags=flags))

    def _make_venv(self, uv: Path) -> None:
        venv = self._checkout.venv
        if self._checkout.owns_venv() and Path(sys.prefix).resolve() == venv.resolve():
            return
        python = Path(sys.executable).resolve()
        self._run("making .venv", uv, "venv", "--clear", "--python", python, venv)

    def _install_from_mirror(self, what: str, uv: Path, flags: frozenset[str]) -> None:
        """``uv sync`` goes by the addresses in uv.lock, PyPI's, whatever index is set."""
        exported = self._checkout.cache / "requirements.txt"
        export = ("export", "--frozen", "--no-emit-project", *sorted(flags), "-o", exported)
        self._run("reading uv.lock", uv, *export)
        into = ("--python", self._checkout.venv / "bin/python")
        self._run(what, uv, "pip", "sync", "--require-hashes", *into, exported)
        editable = ("--no-deps", "--editable", self._checkout.root)
        self._run("installing Parley itself", uv, "pip", "install", *into, *editable)

    def _build_page(self) -> None:
        digest = self._checkout.page_digest()
        command: list[str | Path] = [self._checkout.venv / "bin/python", "web/build.py"]
        # The builder fetches its tools only when it has something to build.
        if not self._checkout.has_page_tools():
            command.append("--force")
        self._run("building the page", *command)
        self._checkout.write_stamp(replace(self._checkout.read_stamp(), page=digest))

    def _run(self, what: str, *command: str | Path) -> None:
        with self._progress.step(what):
            run_logged(
                command,
                folder=self._checkout.root,
                environment=self._environment,
                log=self._checkout.log,
                progress=self._progress,
            )


def require_pocketsphinx(
    lock: Path,
    progress: Progress,
    version: tuple[int, int] = sys.version_info[:2],
    compilers: Sequence[str] = ("cc", "gcc", "clang"),
) -> None:
    """PocketSphinx has wheels for some Pythons only; elsewhere it takes a compiler."""
    tag, name = f"-cp{version[0]}{version[1]}-", f"Python {version[0]}.{version[1]}"
    if any(tag in wheel.name for wheel in locked_package(lock, "pocketsphinx").wheels):
        return
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if not headers.exists() or not any(map(shutil.which, compilers)):
        raise SetupFailed(
            f"PocketSphinx has no wheel for {name} and can't be compiled here",
            "install Python 3.11 or 3.13, or a C compiler and Python's headers (Debian, Ubuntu: "
            "apt install build-essential python3-dev), then start again",
        )
    progress.say(f"PocketSphinx has no wheel for {name}: it is compiled, which takes minutes")
