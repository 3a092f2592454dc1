"""What of a checkout is already prepared, remembered in .cache/prepared.json."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import tomllib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bootstrap.progress import Progress

_NO_SOURCES = ("node_modules", "dist", "test")


@dataclass(frozen=True)
class Needs:
    """What a script needs: dependency groups, extras, the built page, and what builds and checks
    the page."""

    groups: frozenset[str] = frozenset()
    extras: frozenset[str] = frozenset()
    page: bool = True
    page_tools: bool = False


@dataclass(frozen=True)
class Stamp:
    """What was prepared last: digests of what it was made from, and the flags uv was given."""

    environment: str = ""
    flags: frozenset[str] = frozenset()
    page: str = ""


class Checkout:
    """A folder with Parley's sources."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.cache = root / ".cache"
        self.lock = root / "uv.lock"
        self.log = self.cache / "setup.log"
        self._stamp = self.cache / "prepared.json"
        self._web = root / "web"
        self._built_page = root / "src/parley/console/web/index.html"

    def is_prepared(self, needs: Needs) -> bool:
        return self.has_environment(self.flags_for(needs)) and not self.lacks_page(needs)

    def has_environment(self, flags: frozenset[str]) -> bool:
        """Whether .venv holds what uv would install with ``flags`` now."""
        stamp = self.read_stamp()
        return (
            stamp.environment == self.environment_digest()
            and flags <= stamp.flags
            and self.owns_venv()
        )

    def lacks_page(self, needs: Needs) -> bool:
        """Whether the page must be built from its sources; a package has none."""
        if not self._web.is_dir():
            return False
        is_built = self._built_page.exists() and self.read_stamp().page == self.page_digest()
        return (needs.page and not is_built) or (needs.page_tools and not self.has_page_tools())

    def has_page_tools(self) -> bool:
        return (self._web / "node_modules").is_dir()

    def owns_venv(self) -> bool:
        """Whether .venv was made in this very folder; a copied one runs the other one's code."""
        try:
            with (self.venv / "bin/parley").open("rb") as script:
                return str(self.venv / "bin").encode() in script.read(1024)
        except OSError:
            return False

    def flags_for(self, needs: Needs) -> frozenset[str]:
        """What uv must be told to install: the page's tools only while the page isn't built."""
        extras = flags("extra", needs.extras)
        groups = flags("group", needs.groups)
        if self.lacks_page(needs):
            groups |= flags("group", {"web"})
        return extras | groups

    def known_flags(self, kind: str) -> frozenset[str]:
        """Flags for every extra or every group that pyproject.toml names."""
        project = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))
        if kind == "extra":
            return flags(kind, project["project"].get("optional-dependencies", {}))
        return flags(kind, project.get("dependency-groups", {}))

    def environment_digest(self) -> str:
        """What .venv is made from: the project, its lock, the Python, the folder."""
        return _digest([self.root / "pyproject.toml", self.lock], f"{sys.version}\n{self.root}")

    def page_digest(self) -> str:
        """What the page is made from."""
        return _digest(sorted(_sources(self._web)), "")

    # ── remembering ──────────────────────────────────────────────────────────────────────────

    def read_stamp(self) -> Stamp:
        try:
            saved = json.loads(self._stamp.read_text(encoding="utf-8"))
            return Stamp(saved["environment"], frozenset(saved["flags"]), saved["page"])
        except (OSError, ValueError, KeyError, TypeError):
            return Stamp()

    def write_stamp(self, stamp: Stamp) -> None:
        content = {
            "environment": stamp.environment,
            "flags": sorted(stamp.flags),
            "page": stamp.page,
        }
        partial = self._stamp.with_suffix(".partial")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(self._stamp)

    def forget(self) -> None:
        """What was installed beyond a script's needs is not kept by the next set-up."""
        stamp = self.read_stamp()
        if stamp.flags:
            self.write_stamp(replace(stamp, environment="", flags=frozenset()))

    @contextmanager
    def alone(self, progress: Progress) -> Generator[None]:
        """Hold the checkout's set-up; a second set-up waits here. The lock dies with us."""
        self.cache.mkdir(exist_ok=True)
        with (self.cache / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.say("another set-up is at work in this checkout; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def flags(kind: str, names: Iterable[str]) -> frozenset[str]:
    """``--extra=NAME`` or ``--group=NAME`` for each name."""
    return frozenset(f"--{kind}={name}" for name in names)


def _digest(files: Iterable[Path], salt: str) -> str:
    digest = hashlib.sha256(salt.encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"\n{file} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f not in _NO_SOURCES and f[0] != "."]
        yield from (Path(where) / name for name in names if name[0] != ".")
