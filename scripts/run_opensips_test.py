"""Tests deploy/opensips and our two ways to OpenSIPS with the real program, once for each prefix.

Without ``--opensips`` the prefixes in TEST_OPENSIPS are taken, and without that the program that
lies in PATH. Other arguments go to pytest; unless they name tests, all of tests/opensips_real runs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.opensips_real.builds import HOW_TO_BUILD, PLACES, Build  # noqa: E402 - it lies beside us


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/test-opensips",
        description=__doc__,
        epilog=HOW_TO_BUILD,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--opensips", action="append", default=[], metavar="PREFIX")
    options, rest = parser.parse_known_args(arguments)
    builds = [Build(Path(place).resolve()) for place in options.opensips or _usual()]
    lacking = {build.prefix: parts for build in builds if (parts := build.missing())}
    if lacking or not builds:
        for prefix, parts in lacking.items():
            _say(f"{prefix} lacks {', '.join(parts)}")
        print(HOW_TO_BUILD, file=sys.stderr)
        return 1
    os.chdir(ROOT)
    os.environ[PLACES] = os.pathsep.join(str(build.prefix) for build in builds)
    # Set, it would have every server that a test starts compile all its sources again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    _say(f"testing {', '.join(f'{build.version} in {build.prefix}' for build in builds)}")
    names_tests = any((ROOT / word.partition("::")[0]).exists() for word in rest)
    chosen = rest if names_tests else [*rest, "tests/opensips_real"]
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *chosen]
    return subprocess.run(pytest).returncode


def _usual() -> list[str]:
    named = [place for place in os.environ.get(PLACES, "").split(os.pathsep) if place]
    found = shutil.which("opensips", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
    return named or ([str(Path(found).parent.parent)] if found else [])


def _say(line: str) -> None:
    print(f"test-opensips: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
