"""The Compose overlay with n8n, checked against the Compose schema and against the code.

No Docker engine runs here; scripts/test-n8n tests the same n8n without one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from tests.n8n.installation import VERSION

from parley.settings import setting_facts

ROOT = Path(__file__).parents[2]
OVERLAY = ROOT / "deploy/n8n/compose.n8n.yaml"
STACK = yaml.safe_load(OVERLAY.read_text())
SERVICES: dict[str, Any] = STACK["services"]
# What stands in for the programs of the service n8n-nodes.
_PROGRAMS = {
    "npx": "mkdir -p dist && cp nodes.txt dist/",
    "node": "true",
    "npm": 'if [ "$1" = pack ]; then cp dist/nodes.txt made.tgz; '
    'else for given; do :; done; cp "$given" installed.txt; fi',
    "chown": "true",
}


def test_the_overlay_keeps_to_the_schema_of_the_compose_specification() -> None:
    checked = subprocess.run(
        [
            Path(sys.executable).parent / "check-jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            OVERLAY,
        ],
        capture_output=True,
        text=True,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_n8n_is_reached_from_this_machine_only_and_keeps_its_data() -> None:
    (port,) = SERVICES["n8n"]["ports"]

    assert port.startswith("127.0.0.1:")
    assert "n8n-data:/home/node/.n8n" in SERVICES["n8n"]["volumes"]
    assert "n8n-data:/home/node/.n8n" in SERVICES["n8n-nodes"]["volumes"]


def test_it_is_the_n8n_that_was_tested() -> None:
    assert SERVICES["n8n"]["image"].endswith(f":{VERSION}")


def test_parley_is_told_by_settings_that_it_has() -> None:
    known = {fact.name for fact in setting_facts()}

    assert SERVICES["parley"]["environment"].keys() <= known


def test_no_secret_has_a_default() -> None:
    for name in ("N8N_ENCRYPTION_KEY", "PARLEY_TOOL_SECRET"):
        assert re.search(rf"\$\{{{name}:\?", OVERLAY.read_text())


def test_what_is_mounted_is_there() -> None:
    mounted = [
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
    ]

    assert all((ROOT / path).is_dir() for path in mounted if path.startswith("./"))


class Shell:
    """Runs what the service n8n-nodes runs, with its folders below another; the programs that it
    calls write down that they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "package"
        self._called = folder / "called"
        programs = folder / "bin"
        for place in (self.package, programs, folder / "tmp", folder / "home"):
            place.mkdir()
        for name, does in _PROGRAMS.items():
            program = programs / name
            program.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._called}\n{does}\n')
            program.chmod(0o755)
        self._environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def start(self) -> None:
        (shell, options, script) = SERVICES["n8n-nodes"]["command"]
        script = re.sub(r"(?<![\w/])/(package|tmp|home)\b", rf"{self.folder}/\1", script)
        done = subprocess.run(
            [shell, options, script], env=self._environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    def installed(self) -> str:
        return (self.folder / "home/node/.n8n/nodes/installed.txt").read_text()

    def called(self) -> list[str]:
        return self._called.read_text().splitlines()


def test_a_container_that_starts_again_installs_the_package_as_it_is_then(tmp_path: Path) -> None:
    shell = Shell(tmp_path)

    for version in ("the first", "the second"):
        (shell.package / "nodes.txt").write_text(version)
        shell.start()

        assert shell.installed() == version


def test_n8n_owns_a_volume_that_was_new(tmp_path: Path) -> None:
    # Docker gives a new volume to root, and here it is mounted where the image has no folder yet.
    shell = Shell(tmp_path)
    (shell.package / "nodes.txt").write_text("")

    shell.start()

    assert SERVICES["n8n-nodes"].get("user", "root") == "root"
    assert shell.called()[-1] == f"chown -R node:node {tmp_path}/home/node/.n8n"
