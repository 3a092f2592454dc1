"""A hint to install something works as it is printed, wherever Parley runs."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

from parley.core import extras
from parley.core.extras import install_command, install_hint

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src/parley"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose scripts have not made the Python that runs this."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/serve").touch()
    monkeypatch.setattr(extras, "_CHECKOUT", tmp_path)
    return tmp_path


def test_the_python_of_a_checkout_is_filled_by_its_scripts(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(checkout / ".venv"))

    assert install_hint("redis") == "Install it: PARLEY_EXTRAS=redis scripts/serve."


def test_elsewhere_it_is_the_pip_of_the_very_python_that_runs(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: name)

    wanted = f"{sys.executable} -m pip install 'parley-voice[redis]'"
    assert install_command("redis") == wanted
    assert install_hint("redis") == f"Install it: {wanted}."


def test_where_there_is_no_pip_the_image_is_thought_of(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)

    hint = install_hint("redis")

    assert f"uv pip install --python {sys.executable} 'parley-voice[redis]'" in hint
    assert "--build-arg PARLEY_EXTRAS" in hint


def test_every_hint_names_an_extra_that_there_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        argument.value
        for file in SOURCES.rglob("*.py")
        if "install_" in (text := file.read_text())
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        if call.func.id in ("install_hint", "install_command")
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }

    assert {"redis", "postgres", "mcp", "espeak"} <= named
    assert named <= set(project["optional-dependencies"])
    assert project["name"] == extras.PACKAGE


def test_nobody_makes_that_sentence_on_their_own() -> None:
    makers = [
        file.name
        for file in SOURCES.rglob("*.py")
        if "parley-voice[" in file.read_text() or "PARLEY_EXTRAS" in file.read_text()
    ]

    assert makers == ["extras.py"]
