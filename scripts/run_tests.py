"""Runs scripts/check and pytest in a prepared checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bootstrap import debian

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / ".cache/apt.log"
_PARTS = (
    # A browser, a server and the recogniser need two processors for themselves: on fewer, what is
    # said has holes that nobody could understand.
    ("tests/e2e", "-m", "spoken_in_a_browser"),
    # Much of a call's test is waiting for sound; the order and the shares are tests/conftest.py's.
    ("-m", "not spoken_in_a_browser", "-n", "4", "--no-loadscope-reorder"),
)
_SELECTORS = ("-k", "-m", "--lf", "--last-failed", "--ff", "--deselect", "--pyargs")


def main(arguments: Sequence[str]) -> int:
    os.chdir(ROOT)
    # Set, it would have every server that a test starts compile all its sources again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    missing = _bring_system_parts()
    if missing and in_ci(os.environ):
        return 1
    pytest = [sys.executable, "-m", "pytest", *arguments]
    if names_tests(arguments):
        sys.stdout.flush()
        os.execv(sys.executable, pytest)
    steps = {"scripts/check": [sys.executable, "scripts/run_checks.py"]}
    steps |= {f"pytest {' '.join(part)}": [*pytest, *part] for part in _PARTS}
    failed = [name for name, command in steps.items() if subprocess.run(command).returncode]
    for name in failed:
        _say(f"failed (above): {name}")
    return bool(failed)


def names_tests(arguments: Sequence[str]) -> bool:
    """Whether the arguments choose among the tests; then the checks would only delay the answer."""
    return any(
        argument.startswith(_SELECTORS) or (ROOT / argument.partition("::")[0]).exists()
        for argument in arguments
    )


def in_ci(environment: Mapping[str, str]) -> bool:
    """Whether this is continuous integration, where nothing installable may be skipped."""
    return environment.get("CI", "").lower() in ("1", "true", "yes")


def _bring_system_parts() -> list[debian.SystemPart]:
    missing = debian.missing_parts()
    if missing and debian.can_install():
        _say(f"installing {', '.join(part.package for part in missing)}")
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_bytes(b"")
        if not debian.install(missing, LOG):
            print("\n".join(LOG.read_text(errors="replace").splitlines()[-15:]), file=sys.stderr)
            _say(f"apt-get failed: its last lines are above, all of them in {LOG}")
        missing = debian.missing_parts(missing)
    for part in missing:
        cure = f"as root: apt-get install {part.package}"
        _say(f"without {part.package}, {part.wanted_for} can't run; {cure}")
    return missing


def _say(line: str) -> None:
    print(f"parley: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
