"""The four scripts as a shell runs them, on machines that have or lack a Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.checkout import Checkout
from bootstrap.setup_steps import SetUp
from prepare import VERBS
from tests.scripts.fakes import (
    Launcher,
    fake_python,
)


@pytest.mark.parametrize("verb", ["serve", "test", "check", "bench"])
def test_a_python_that_is_too_old_is_named_in_one_line(launcher: Launcher, verb: str) -> None:
    launcher.put("python3", fake_python("3.9.2", probe_status=4))

    done = launcher.run(verb)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "needs Python 3.11, 3.12 or 3.13 and found Python 3.9.2" in done.stderr
    assert "apt install python3" in done.stderr


def test_a_missing_python_is_told_in_one_line(launcher: Launcher) -> None:
    done = launcher.run("serve")

    assert done.returncode == 1
    assert "and found no Python: install one" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_python_without_its_whole_library_is_told_in_one_line(launcher: Launcher) -> None:
    launcher.put("python3", fake_python("3.11.2", probe_status=5))

    done = launcher.run("serve")

    assert done.returncode == 1
    assert "python3 lacks parts of Python's standard library" in done.stderr
    assert done.stderr.count("\n") == 1


def test_pythons_with_pocketsphinx_wheels_are_preferred_and_old_ones_passed_over(
    launcher: Launcher,
) -> None:
    launcher.put("python3", fake_python("3.9.2", probe_status=4))
    found: list[str] = []

    for version in ("3.12", "3.13", "3.11"):
        launcher.put(f"python{version}", fake_python(version, probe_status=0))
        found.append(launcher.run("serve").stdout.split()[0])
    launcher.put("../.venv/bin/python", fake_python("of-venv", probe_status=0))
    found.append(launcher.run("serve").stdout.split()[0])

    assert found == ["3.12", "3.13", "3.11", "of-venv"]


def test_arguments_with_spaces_reach_the_verb_unchanged(launcher: Launcher) -> None:
    launcher.put("python3.11", 'for a in "$@"; do echo "<$a>"; done')

    done = launcher.run("serve", "--host", "a b", "*")

    assert done.stdout.splitlines()[1:] == ["<serve>", "<--host>", "<a b>", "<*>"]


def test_a_launcher_works_through_a_link_from_elsewhere(launcher: Launcher, tmp_path: Path) -> None:
    launcher.put("python3.11", 'echo "$1"')
    link = tmp_path / "parley-serve"
    link.symlink_to(launcher.root / "scripts/serve")

    done = subprocess.run([link], env={"PATH": str(launcher.path)}, capture_output=True, text=True)

    assert done.stdout.strip() == str(launcher.root / "scripts/prepare.py")


def test_a_prepared_checkout_becomes_parley_with_arguments_and_environment(
    launcher: Launcher, checkout: Checkout, set_up: SetUp
) -> None:
    set_up.prepare(VERBS["serve"].needs)
    launcher.put(
        "../.venv/bin/parley",
        f'# {checkout.venv}/bin\nfor a in "$@"; do echo "<$a>"; done; echo "$GREETING"',
    )

    done = launcher.run("serve", "--port", "a b", GREETING="hello")

    assert done.stdout.splitlines() == ["<serve>", "<--port>", "<a b>", "hello"], done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("verb", ["serve", "test", "check", "bench"])
def test_help_is_given_without_preparing_anything(launcher: Launcher, verb: str) -> None:
    (launcher.path / "python3.11").symlink_to(sys.executable)

    done = launcher.run(verb, "--help")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"scripts/{verb} ")
    assert not (launcher.root / ".cache").exists()


def test_set_up_that_fails_ends_with_one_line_and_status_1(launcher: Launcher) -> None:
    (launcher.path / "python3.11").symlink_to(sys.executable)

    done = launcher.run("serve", UV_DEFAULT_INDEX="http://127.0.0.1:1/simple", NO_PROXY="*")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("parley: can't reach 127.0.0.1:1 (")
    assert "Traceback" not in done.stderr
