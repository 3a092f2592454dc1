"""The n8n node package keeps n8n's rules for community nodes.

They come from npm, as ``lint/package-lock.json`` names them. n8n's whole configuration comes with
500 MB of n8n: ``scripts/test-n8n`` lints with that.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "integrations/n8n-nodes-parley"
TOOLS = PACKAGE / "lint"
LOCK = TOOLS / "package-lock.json"
FREE = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BlueOak-1.0.0",
    "ISC",
    "MIT",
    "Python-2.0",
}
# n8n's own rules: fetched to check ours with, under n8n's licence, and never handed on.
N8N_S = {"@n8n/eslint-plugin-community-nodes"}


class Eslint:
    """ESLint with n8n's rules beside it, fetched once for each lock file."""

    def __init__(self) -> None:
        build = _builder()
        self._node = build.find_node()
        project = build.Project(TOOLS, TOOLS / "dist")
        if not project.has_packages():
            try:
                project.fetch_packages(self._node)
            except build.BuildFailed as failure:
                if os.environ.get("CI"):
                    raise
                pytest.skip(f"n8n's lint rules can't be fetched: {failure}")

    def messages(self, folder: Path) -> list[tuple[str, str]]:
        """What is wrong with the package in that folder: the rule and the file."""
        program = TOOLS / "node_modules/eslint/bin/eslint.js"
        rules = folder / "lint/eslint.config.mjs"
        done = subprocess.run(
            [self._node.program, program, "--config", rules, "--format=json", "."],
            cwd=folder,
            # One of the rules looks up n8n's names for connections.
            env={**os.environ, "NODE_PATH": str(PACKAGE / "test/stand-in")},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode in (0, 1), done.stderr
        files: list[dict[str, Any]] = json.loads(done.stdout)
        assert len(files) > 5, "hardly anything was linted"
        return [
            (str(message["ruleId"]), Path(file["filePath"]).name)
            for file in files
            for message in file["messages"]
        ]


def _builder() -> Any:
    """``web/build.py``, which knows where node and npm are."""
    spec = importlib.util.spec_from_file_location("web_build", ROOT / "web/build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def eslint() -> Eslint:
    return Eslint()


def test_the_package_keeps_the_rules(eslint: Eslint) -> None:
    assert eslint.messages(PACKAGE) == []


def test_what_breaks_a_rule_is_found(eslint: Eslint, tmp_path: Path) -> None:
    copy = tmp_path / "package"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (copy / "lint/node_modules").symlink_to(TOOLS / "node_modules")
    node_file = copy / "nodes/ParleyTool/ParleyTool.node.ts"
    node_file.write_text(node_file.read_text().replace("icon: {", "// icon: {"))
    manifest = copy / "package.json"
    manifest.write_text(manifest.read_text().replace('"MIT"', '"SUL-1.0"'))

    found = {file for _, file in eslint.messages(copy)}

    assert found == {"ParleyTool.node.ts", "package.json"}


def test_what_it_is_linted_with_is_free_but_for_n8n_s_own_rules() -> None:
    packages: dict[str, dict[str, Any]] = json.loads(LOCK.read_text())["packages"]
    licences = {
        path.rpartition("node_modules/")[2]: str(each.get("license", ""))
        for path, each in packages.items()
        if path
    }

    assert {name for name, licence in licences.items() if licence not in FREE} == N8N_S
