"""What scripts/test and scripts/bench do once all is prepared."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import run_bench
import run_tests
from bootstrap import debian


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ([], False),
        (["-x", "-q"], False),
        (["tests/scripts::test_x"], True),
        (["-k", "greeting"], True),
        (["-m", "not e2e"], True),
    ],
)
def test_checks_are_skipped_only_when_arguments_choose_tests(
    arguments: list[str], chosen: bool
) -> None:
    assert run_tests.names_tests(arguments) is chosen


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("", False)])
def test_continuous_integration_says_so_in_ci(value: str, expected: bool) -> None:
    assert run_tests.in_ci({"CI": value}) is expected


def test_packages_may_not_start_daemons_and_the_machines_policy_comes_back(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("the machine's own")

    with debian.no_daemons_started(policy):
        status_within = subprocess.run([policy, "kamailio", "start"]).returncode

    assert status_within == 101
    assert policy.read_text() == "the machine's own"
    assert list(tmp_path.iterdir()) == [policy]


def test_no_policy_is_left_behind_where_there_was_none(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), debian.no_daemons_started(tmp_path / "policy-rc.d"):
        raise KeyboardInterrupt

    assert not list(tmp_path.iterdir())


def test_what_a_machine_lacks_is_named_by_its_debian_package() -> None:
    parts = [
        debian.SystemPart("here", "this", lambda: True),
        debian.SystemPart("gone", "that", lambda: False),
    ]

    assert [part.package for part in debian.missing_parts(parts)] == ["gone"]


def test_every_module_with_a_main_is_a_bench(tmp_path: Path) -> None:
    (tmp_path / "latency.py").write_text('"""How long a reply takes."""\ndef main(): ...\n')
    (tmp_path / "soak.py").write_text('"""Ten minutes."""\nasync def main(): ...\n')
    (tmp_path / "clients.py").write_text('"""Shared by the benches."""\n')
    (tmp_path / "__main__.py").write_text('"""Runs one."""\ndef main(): ...\n')

    assert run_bench.known_benches(tmp_path) == {
        "latency": "How long a reply takes.",
        "soak": "Ten minutes.",
    }


def test_an_unknown_bench_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status = run_bench.main(["nonsense"])

    assert status == 2
    assert capsys.readouterr().err.startswith("parley: no bench is called nonsense; there are:")
