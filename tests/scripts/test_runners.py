"""What scripts/test and scripts/bench do once all is prepared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import run_tests
from bootstrap import debian
from tests.scripts.fakes import ROOT


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


def test_a_bench_runs_from_any_folder_and_without_a_name_all_are_listed(tmp_path: Path) -> None:
    script = ROOT / "scripts/run_bench.py"

    listed = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    unknown = subprocess.run(
        [sys.executable, script, "nonsense"], cwd=tmp_path, capture_output=True, text=True
    )

    assert (listed.returncode, unknown.returncode) == (0, 2), listed.stderr
    assert "latency" in listed.stdout
    assert "nonsense" in unknown.stderr
